//! Escapes, strings and the inside of `url()`: where a byte may be part of a URL.

use super::Css;
use super::escape::{Escape, is_line_end, is_space};
use super::state::{AtRule, Bracket, Read, ScanState, StringRole};

impl Css {
    pub(super) fn read_escape(&mut self, byte: u8, digits: u8, value: u32) -> Read {
        if digits < 6
            && let Some(digit) = (byte as char).to_digit(16)
        {
            self.state = ScanState::Escape {
                digits: digits + 1,
                value: value * 16 + digit,
            };
            return Read::Plain;
        }
        self.state = ScanState::Normal;
        if digits == 0 {
            // A line end makes it no escape, and any other character stands for itself.
            if is_line_end(byte) {
                return self.read_normal(byte);
            }
            self.add_to_name(byte);
            return Read::Plain;
        }
        // A character above 255 is no letter of the names that are looked for.
        self.add_to_name(u8::try_from(value).unwrap_or(0xff));
        if is_space(byte) {
            self.escaped_return = byte == b'\r';
            return Read::Plain;
        }
        self.read_normal(byte)
    }

    pub(super) fn read_text(&mut self, byte: u8, quote: u8, role: StringRole) -> Read {
        if byte == quote || is_line_end(byte) {
            self.state = ScanState::Normal;
            return match role {
                StringRole::Url if byte == quote => Read::EndsUrl,
                // A line end breaks a string, which is none then.
                StringRole::Url => Read::EndsBadUrl,
                StringRole::Plain => Read::Plain,
            };
        }
        if byte == b'\\' {
            self.state = ScanState::TextEscape {
                quote,
                role,
                digits: 0,
            };
        }
        match role {
            StringRole::Url => Read::Held,
            StringRole::Plain => Read::Plain,
        }
    }

    pub(super) fn read_url(&mut self, byte: u8) -> Read {
        match (self.state, byte) {
            (ScanState::UrlSkippedEscape, _) => self.state = ScanState::UrlSkipped,
            (ScanState::UrlSkipped, b'\\') => self.state = ScanState::UrlSkippedEscape,
            (ScanState::UrlSkipped | ScanState::UrlBegins, b')') => self.state = ScanState::Normal,
            (ScanState::UrlSkipped, _) => {}
            (ScanState::UrlBegins, space) if is_space(space) => {}
            (ScanState::UrlBegins, b'"' | b'\'') => {
                let role = match self.rule {
                    AtRule::Namespace => StringRole::Plain,
                    AtRule::None | AtRule::Import => StringRole::Url,
                };
                // The bracket of `url(` is closed by a bracket behind the string.
                self.push(Bracket::Other);
                self.state = ScanState::Text { quote: byte, role };
            }
            (ScanState::UrlBegins, _) if self.rule == AtRule::Namespace => {
                self.state = ScanState::UrlSkipped;
            }
            // A backslash before the end of a line escapes nothing.
            (ScanState::UrlBareEscape { digits: 0 }, b'\n' | b'\r' | b'\x0c') => {
                self.state = ScanState::UrlSkipped;
                return Read::EndsBadUrl;
            }
            (ScanState::UrlBareEscape { digits }, _) => {
                let escape = Escape::read(byte, digits);
                self.state = match escape {
                    Escape::GoesOn => ScanState::UrlBareEscape { digits: digits + 1 },
                    Escape::EndsWith | Escape::EndsBefore => ScanState::UrlBare,
                };
                self.escaped_return = matches!(escape, Escape::EndsWith) && byte == b'\r';
                return match escape {
                    Escape::EndsBefore => self.read_url(byte),
                    Escape::GoesOn | Escape::EndsWith => Read::Held,
                };
            }
            (_, b')') => {
                self.state = ScanState::Normal;
                return Read::EndsUrl;
            }
            // Characters that no bare URL has make it a bad one.
            (_, b'"' | b'\'' | b'(' | 1..=8 | 0x0b | 0x0e..=0x1f | 0x7f) => {
                self.state = ScanState::UrlSkipped;
                return Read::EndsBadUrl;
            }
            (_, space) if is_space(space) => {
                self.state = ScanState::UrlSkipped;
                return Read::EndsUrl;
            }
            (_, b'\\') => {
                self.state = ScanState::UrlBareEscape { digits: 0 };
                return Read::Held;
            }
            _ => {
                self.state = ScanState::UrlBare;
                return Read::Held;
            }
        }
        Read::Plain
    }
}

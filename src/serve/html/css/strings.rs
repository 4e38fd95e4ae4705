//! Escapes, strings and the inside of `url()`: where a byte may be part of a URL.

use super::Css;
use super::escape::{Escape, is_line_end, is_space};
use super::state::{AtRule, Bracket, Read, Role, State};

impl Css {
    pub(super) fn read_escape(&mut self, byte: u8, digits: u8, value: u32) -> Read {
        if digits < 6
            && let Some(digit) = (byte as char).to_digit(16)
        {
            self.state = State::Escape {
                digits: digits + 1,
                value: value * 16 + digit,
            };
            return Read::Plain;
        }
        self.state = State::Normal;
        if digits == 0 {
            // A line end makes it no escape, and any other character stands for itself.
            if is_line_end(byte) {
                return self.read_normal(byte);
            }
            self.add_to_name(byte);
            return Read::Plain;
        }
        self.add_to_name(u8::try_from(value).unwrap_or(0xff));
        if is_space(byte) {
            self.escaped_return = byte == b'\r';
            return Read::Plain;
        }
        self.read_normal(byte)
    }

    pub(super) fn read_text(&mut self, byte: u8, quote: u8, role: Role) -> Read {
        if byte == quote || is_line_end(byte) {
            self.state = State::Normal;
            return match role {
                Role::Url if byte == quote => Read::EndsUrl,
                // A line end breaks a string, which is none then.
                Role::Url => Read::EndsBadUrl,
                Role::Plain => Read::Plain,
            };
        }
        if byte == b'\\' {
            self.state = State::TextEscape {
                quote,
                role,
                digits: 0,
            };
        }
        match role {
            Role::Url => Read::Held,
            Role::Plain => Read::Plain,
        }
    }

    pub(super) fn read_url(&mut self, byte: u8) -> Read {
        match (self.state, byte) {
            (State::UrlSkippedEscape, _) => self.state = State::UrlSkipped,
            (State::UrlSkipped, b'\\') => self.state = State::UrlSkippedEscape,
            (State::UrlSkipped | State::UrlBegins, b')') => self.state = State::Normal,
            (State::UrlSkipped, _) => {}
            (State::UrlBegins, space) if is_space(space) => {}
            (State::UrlBegins, b'"' | b'\'') => {
                let role = match self.rule {
                    AtRule::Namespace => Role::Plain,
                    AtRule::None | AtRule::Import => Role::Url,
                };
                self.push(Bracket::Other);
                self.state = State::Text { quote: byte, role };
            }
            (State::UrlBegins, _) if self.rule == AtRule::Namespace => {
                self.state = State::UrlSkipped;
            }
            // A backslash before the end of a line escapes nothing.
            (State::UrlBareEscape { digits: 0 }, b'\n' | b'\r' | b'\x0c') => {
                self.state = State::UrlSkipped;
                return Read::EndsBadUrl;
            }
            (State::UrlBareEscape { digits }, _) => {
                let escape = Escape::read(byte, digits);
                self.state = match escape {
                    Escape::GoesOn => State::UrlBareEscape { digits: digits + 1 },
                    Escape::EndsWith | Escape::EndsBefore => State::UrlBare,
                };
                self.escaped_return = matches!(escape, Escape::EndsWith) && byte == b'\r';
                return match escape {
                    Escape::EndsBefore => self.read_url(byte),
                    Escape::GoesOn | Escape::EndsWith => Read::Held,
                };
            }
            (_, b')') => {
                self.state = State::Normal;
                return Read::EndsUrl;
            }
            // Characters that no bare URL has make it a bad one.
            (_, b'"' | b'\'' | b'(' | 1..=8 | 0x0b | 0x0e..=0x1f | 0x7f) => {
                self.state = State::UrlSkipped;
                return Read::EndsBadUrl;
            }
            (_, space) if is_space(space) => {
                self.state = State::UrlSkipped;
                return Read::EndsUrl;
            }
            (_, b'\\') => {
                self.state = State::UrlBareEscape { digits: 0 };
                return Read::Held;
            }
            _ => {
                self.state = State::UrlBare;
                return Read::Held;
            }
        }
        Read::Plain
    }
}

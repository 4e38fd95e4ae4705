//! Style sheets: the URLs in `url()`, `src()`, `@import "…"` and `image-set("…")`, mapped while the text streams.
//!
//! In: CSS in pieces, cut anywhere. Out: the same in pieces, each either as it was or a URL that was mapped. Comments,
//! strings that are no URLs, escapes and bad URLs are read as CSS Syntax level 3, section 4, has them, so that nothing
//! within them is taken for a URL. Kept in memory is one URL at the most, and one that is longer than [`LONGEST_URL`],
//! mostly `data:`, passes as it came. `@namespace` holds names, no links.
//!
//! Text is read as bytes, so whatever is not understood passes byte for byte.

mod escape;
mod state;
mod strings;

use super::charset::{Charset, bytes_of, shown, url_in};
use escape::{Escape, escaped, unescaped};
use state::{AtRule, Bracket, Read, ScanState, StringRole};

/// A longer URL passes as it came.
const LONGEST_URL: usize = 8 * 1024;

/// Names that are longer mean nothing here.
const LONGEST_NAME: usize = 24;

/// How deep brackets are followed.
const DEEPEST: usize = 256;

/// What the text is cut into.
#[derive(Debug)]
pub(super) enum Piece<'p> {
    AsItWas(&'p [u8]),
    Changed { was: &'p [u8], now: &'p [u8] },
}

impl Piece<'_> {
    /// The bytes to go out.
    pub(super) fn now(&self) -> &[u8] {
        match self {
            Self::AsItWas(bytes) | Self::Changed { now: bytes, .. } => bytes,
        }
    }
}

/// Where the pieces go to.
pub(super) type Out<'o> = dyn FnMut(Piece<'_>) + 'o;

/// How a URL is mapped; `None`: it stays.
pub(super) type Map<'m> = dyn Fn(&str) -> Option<String> + 'm;

/// Follows one style sheet.
#[derive(Debug)]
pub(super) struct Css {
    charset: Charset,
    state: ScanState,
    /// The name, with `@` or `#` before it, that ends at the current place, in lower case.
    name: Vec<u8>,
    /// The brackets that stand open.
    open: Vec<Bracket>,
    rule: AtRule,
    /// The text of a URL that is not at its end.
    held: Vec<u8>,
    /// The second byte of a character comes next.
    within_character: bool,
    /// An escape ended with a carriage return, to which a line feed belongs.
    escaped_return: bool,
}

impl Css {
    pub(super) fn new(charset: Charset) -> Self {
        Self {
            charset,
            state: ScanState::Normal,
            name: Vec::new(),
            open: Vec::new(),
            rule: AtRule::None,
            held: Vec::new(),
            within_character: false,
            escaped_return: false,
        }
    }

    /// Reads a piece of the text.
    pub(super) fn write(&mut self, text: &[u8], map: &Map<'_>, out: &mut Out<'_>) {
        // Where the plain text begins that was read but not given out.
        let mut begin = 0;
        for (at, byte) in text.iter().copied().enumerate() {
            match self.read(byte) {
                Read::Plain => {}
                Read::Held => {
                    if begin < at {
                        out(Piece::AsItWas(&text[begin..at]));
                    }
                    begin = at + 1;
                    self.held.push(byte);
                    // Let go as it came: nobody needs a URL of such a length mapped, and `data:` may have megabytes.
                    if self.held.len() > LONGEST_URL {
                        self.let_go(out);
                    }
                }
                end @ (Read::EndsUrl | Read::EndsBadUrl) => {
                    // Plain text before it means that the URL is empty.
                    if begin < at {
                        out(Piece::AsItWas(&text[begin..at]));
                    }
                    match end {
                        Read::EndsBadUrl => self.give_as_it_was(out),
                        _ => self.give_url(map, out),
                    }
                    begin = at;
                }
            }
        }
        if begin < text.len() {
            out(Piece::AsItWas(&text[begin..]));
        }
    }

    /// The text has ended, which ends strings and URLs, too.
    pub(super) fn end(&mut self, map: &Map<'_>, out: &mut Out<'_>) {
        self.give_url(map, out);
    }

    fn give_url(&mut self, map: &Map<'_>, out: &mut Out<'_>) {
        let was = std::mem::take(&mut self.held);
        if was.is_empty() {
            return;
        }
        // Where a byte may be the second half of a character, what looks like a URL may be none.
        let now = self
            .charset
            .is_plain(&was)
            .then(|| map(&unescaped(&was)))
            .flatten();
        match now {
            Some(now) => give_changed(&was, &bytes_of(&now), out),
            None => out(Piece::AsItWas(&was)),
        }
    }

    fn give_as_it_was(&mut self, out: &mut Out<'_>) {
        if !self.held.is_empty() {
            out(Piece::AsItWas(&self.held));
            self.held.clear();
        }
    }

    fn let_go(&mut self, out: &mut Out<'_>) {
        // The rest is still part of the URL, so it is skipped and not read anew.
        self.give_as_it_was(out);
        let role = StringRole::Plain;
        self.state = match self.state {
            ScanState::Text { quote, .. } => ScanState::Text { quote, role },
            ScanState::TextEscape { quote, digits, .. } => ScanState::TextEscape {
                quote,
                role,
                digits,
            },
            ScanState::UrlBareEscape { .. } => ScanState::UrlSkippedEscape,
            _ => ScanState::UrlSkipped,
        };
    }

    fn read(&mut self, byte: u8) -> Read {
        // The second byte of a character has no meaning of its own, whatever it looks like.
        if self.within_character {
            self.within_character = false;
            return self.within();
        }
        if std::mem::take(&mut self.escaped_return) && byte == b'\n' {
            return self.within();
        }
        self.within_character = byte >= 0x80 && self.charset.begins_two_bytes(byte);
        match self.state {
            ScanState::Normal => self.read_normal(byte),
            ScanState::Slash => {
                if byte == b'*' {
                    self.state = ScanState::Comment;
                    return Read::Plain;
                }
                self.state = ScanState::Normal;
                self.read_normal(byte)
            }
            ScanState::Comment | ScanState::CommentStar => {
                self.state = match (self.state, byte) {
                    (ScanState::CommentStar, b'/') => ScanState::Normal,
                    (_, b'*') => ScanState::CommentStar,
                    _ => ScanState::Comment,
                };
                Read::Plain
            }
            ScanState::Escape { digits, value } => self.read_escape(byte, digits, value),
            ScanState::Text { quote, role } => self.read_text(byte, quote, role),
            ScanState::TextEscape {
                quote,
                role,
                digits,
            } => {
                let escape = Escape::read(byte, digits);
                self.state = match escape {
                    Escape::GoesOn => ScanState::TextEscape {
                        quote,
                        role,
                        digits: digits + 1,
                    },
                    Escape::EndsWith | Escape::EndsBefore => ScanState::Text { quote, role },
                };
                self.escaped_return = matches!(escape, Escape::EndsWith) && byte == b'\r';
                match (escape, role) {
                    (Escape::EndsBefore, _) => self.read_text(byte, quote, role),
                    (_, StringRole::Url) => Read::Held,
                    (_, StringRole::Plain) => Read::Plain,
                }
            }
            ScanState::UrlBegins
            | ScanState::UrlBare
            | ScanState::UrlBareEscape { .. }
            | ScanState::UrlSkipped
            | ScanState::UrlSkippedEscape => self.read_url(byte),
        }
    }

    /// What a byte is that has no meaning of its own in this state.
    fn within(&self) -> Read {
        match self.state {
            ScanState::Text {
                role: StringRole::Url,
                ..
            }
            | ScanState::UrlBare => Read::Held,
            _ => Read::Plain,
        }
    }

    fn read_normal(&mut self, byte: u8) -> Read {
        if is_of_name(byte) {
            // `@import` is followed by a URL or a string; with a name in between, what follows is none.
            if self.name.is_empty() && self.rule == AtRule::Import {
                self.rule = AtRule::None;
            }
            self.add_to_name(byte);
            return Read::Plain;
        }
        match byte {
            b'\\' => {
                self.state = ScanState::Escape {
                    digits: 0,
                    value: 0,
                };
                return Read::Plain;
            }
            b'(' => return self.open_bracket(),
            b'@' | b'#' => {
                self.end_name();
                self.name.push(byte);
                return Read::Plain;
            }
            _ => self.end_name(),
        }
        match byte {
            b'"' | b'\'' => {
                let role = match (self.rule, self.open.last()) {
                    (AtRule::Import, _) | (AtRule::None, Some(Bracket::OfUrls)) => StringRole::Url,
                    _ => StringRole::Plain,
                };
                if self.rule == AtRule::Import {
                    self.rule = AtRule::None;
                }
                self.state = ScanState::Text { quote: byte, role };
            }
            b'/' => self.state = ScanState::Slash,
            b')' => {
                // Brackets are only counted; one that closes nothing is passed by, as browsers do.
                self.open.pop();
            }
            b'{' | b'}' => {
                // A block ends whatever was open, so one lost bracket does not spoil the rest of the sheet.
                self.open.clear();
                self.rule = AtRule::None;
            }
            b';' => self.rule = AtRule::None,
            _ => {}
        }
        Read::Plain
    }

    fn add_to_name(&mut self, byte: u8) {
        // Longer names mean nothing here, and their letters need not be kept.
        if self.name.len() < LONGEST_NAME {
            self.name.push(byte.to_ascii_lowercase());
        }
    }

    fn end_name(&mut self) {
        match self.name.as_slice() {
            b"@import" => self.rule = AtRule::Import,
            b"@namespace" => self.rule = AtRule::Namespace,
            _ => {}
        }
        self.name.clear();
    }

    fn open_bracket(&mut self) -> Read {
        let bracket = match self.name.as_slice() {
            b"url" => {
                self.name.clear();
                self.state = ScanState::UrlBegins;
                return Read::Plain;
            }
            b"src" | b"image-set" | b"-webkit-image-set" | b"image" => Bracket::OfUrls,
            _ => Bracket::Other,
        };
        self.end_name();
        self.push(bracket);
        Read::Plain
    }

    fn push(&mut self, bracket: Bracket) {
        // What is nested deeper than any sheet is read as plain.
        if self.open.len() < DEEPEST {
            self.open.push(bracket);
        }
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'-' | b'_')
}

/// Gives a URL, of which all that did not change stays as it is written, unless escapes make it unclear what that is.
fn give_changed(was: &[u8], now: &[u8], out: &mut Out<'_>) {
    let (url, same) = if was.contains(&b'\\') {
        (0..was.len(), 0)
    } else {
        let url = url_in(was);
        // What is the same at the end stays byte for byte, so that escapes and case are kept.
        let pairs = was[url.clone()].iter().rev().zip(now.iter().rev());
        let same = pairs.take_while(|(was, now)| was == now).count();
        (url, same)
    };
    let (before, rest) = was.split_at(url.start);
    let (was, after) = rest.split_at(url.len() - same);
    if !before.is_empty() {
        out(Piece::AsItWas(before));
    }
    let now = &escaped(&shown(&now[..now.len() - same]));
    out(Piece::Changed { was, now });
    if !after.is_empty() {
        out(Piece::AsItWas(after));
    }
}

#[cfg(test)]
pub(super) mod tests;

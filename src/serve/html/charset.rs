//! Which bytes of a page stand for ASCII characters: all that a rewriter has to know of its charset.
//!
//! In: a charset's name, from `Content-Type` or a `<meta>`. Out: how its bytes are to be read, or nothing where bytes
//! below 128 may mean something else at any place (UTF-16, ISO-2022-JP); such pages are left alone.
//!
//! URLs and the grammar around them are ASCII. So pages are read as bytes, and text is shown to the rest of the code as
//! windows-1252, which gives every byte a character of its own: whatever isn't understood goes out as the bytes that
//! came in.
//!
//! The Encoding standard; its names by way of `encoding_rs`.

use std::borrow::Cow;

use encoding_rs::{BIG5, Encoding, GB18030, GBK, SHIFT_JIS, WINDOWS_1252};

/// How bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// A byte below 128 is an ASCII character wherever it stands: UTF-8, all of one byte, EUC.
    Ascii,
    /// Characters of two bytes, of which the second may be below 128.
    ShiftJis,
    /// The same with other first bytes: GBK, GB18030, Big5.
    TwoBytes,
}

impl Charset {
    /// The charset of a name; `None`: it can't be rewritten. Names that nobody knows count as none given.
    pub(super) fn named(label: &str) -> Option<Self> {
        // A browser that does not know the name takes the page's own or a default, which are ASCII below 128 as well.
        let Some(encoding) = Encoding::for_label(label.as_bytes()) else {
            return Some(Self::Ascii);
        };
        if encoding == SHIFT_JIS {
            return Some(Self::ShiftJis);
        }
        if encoding == GBK || encoding == GB18030 || encoding == BIG5 {
            return Some(Self::TwoBytes);
        }
        encoding.is_ascii_compatible().then_some(Self::Ascii)
    }

    /// Whether a byte is the first of two that stand for one character.
    pub(super) fn begins_two_bytes(self, byte: u8) -> bool {
        // The second byte of such a character may look like a quote or a bracket, and is none.
        match self {
            Self::Ascii => false,
            Self::ShiftJis => matches!(byte, 0x81..=0x9f | 0xe0..=0xfc),
            Self::TwoBytes => matches!(byte, 0x81..=0xfe),
        }
    }

    /// Whether ASCII bytes in this text are ASCII characters.
    pub(super) fn is_plain(self, text: &[u8]) -> bool {
        self == Self::Ascii || text.is_ascii()
    }
}

/// Where a URL stands in a text: browsers take spaces and control characters around it for no part of it.
pub(super) fn url_in(text: &[u8]) -> std::ops::Range<usize> {
    let is_part = |byte: &u8| *byte > b' ';
    let begin = text.iter().position(is_part).unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(is_part)
        .map_or(begin, |last| last + 1);
    begin..end
}

/// Whether a text begins with a mark that it is UTF-16, which is stronger than any name.
pub(super) fn is_marked_as_utf16(begin: &[u8]) -> bool {
    begin.starts_with(&[0xfe, 0xff]) || begin.starts_with(&[0xff, 0xfe])
}

/// The bytes as text, one character a byte.
pub(super) fn shown(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// The bytes of such a text.
pub(super) fn bytes_of(text: &str) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        return Cow::Borrowed(text.as_bytes());
    }
    WINDOWS_1252.encode(text).0
}

/// The charset that a media type names.
pub(super) fn charset_of(media_type: &[u8]) -> Option<&[u8]> {
    let parameters = media_type.split(|byte| *byte == b';').skip(1);
    let mut values = parameters.filter_map(|parameter| {
        let equals = parameter.iter().position(|byte| *byte == b'=')?;
        let (name, value) = parameter.split_at(equals);
        let is_charset = name.trim_ascii().eq_ignore_ascii_case(b"charset");
        is_charset.then(|| value[1..].trim_ascii())
    });
    let value = values.next()?;
    let unquoted = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let text = shown(&all);
        assert_eq!(text.chars().count(), 256);
        assert_eq!(bytes_of(&text), all);
    }

    #[test]
    fn names_are_those_of_the_standard() {
        for (label, charset) in [
            ("utf-8", Some(Charset::Ascii)),
            ("UTF8", Some(Charset::Ascii)),
            ("latin1", Some(Charset::Ascii)),
            ("euc-jp", Some(Charset::Ascii)),
            ("Shift_JIS", Some(Charset::ShiftJis)),
            ("gb2312", Some(Charset::TwoBytes)),
            ("big5", Some(Charset::TwoBytes)),
            ("never-heard-of", Some(Charset::Ascii)),
            ("utf-16", None),
            ("utf-16be", None),
            ("iso-2022-jp", None),
            ("hz-gb-2312", None),
        ] {
            assert_eq!(Charset::named(label), charset, "{label}");
        }
    }
}

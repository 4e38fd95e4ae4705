//! Escapes of CSS: where they end, and URLs with and without them.
//!
//! CSS Syntax level 3, section 4.3.7.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::serve::html::charset::{bytes_of, shown};

/// What a byte is to an escape that it may be part of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Escape {
    GoesOn,
    EndsWith,
    EndsBefore,
}

impl Escape {
    /// `digits` of it were read.
    pub(super) fn read(byte: u8, digits: u8) -> Self {
        match digits {
            0..6 if byte.is_ascii_hexdigit() => Self::GoesOn,
            0 => Self::EndsWith,
            _ if is_space(byte) => Self::EndsWith,
            _ => Self::EndsBefore,
        }
    }
}

pub(super) fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | b'\x0c')
}

pub(super) fn is_space(byte: u8) -> bool {
    is_line_end(byte) || matches!(byte, b' ' | b'\t')
}

/// What a URL's text stands for. A character above ASCII that is written as an escape becomes what it is in a URL.
pub(super) fn unescaped(text: &[u8]) -> Cow<'_, str> {
    if !text.contains(&b'\\') {
        return shown(text);
    }
    let shown = shown(text);
    let mut url = String::with_capacity(shown.len());
    let mut rest = shown.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '\\' {
            url.push(character);
            continue;
        }
        let mut digits = String::new();
        while digits.len() < 6
            && let Some(digit) = rest.next_if(char::is_ascii_hexdigit)
        {
            digits.push(digit);
        }
        if digits.is_empty() {
            // Behind a backslash a carriage return and a line feed are one line end.
            match rest.next() {
                Some('\r') => drop(rest.next_if_eq(&'\n')),
                None | Some('\n' | '\x0c') => {}
                Some(itself) => url.push(itself),
            }
            continue;
        }
        // One white space after the digits belongs to the escape.
        if rest.next_if(|space| space.is_ascii() && is_space(*space as u8)) == Some('\r') {
            rest.next_if_eq(&'\n');
        }
        let value = u32::from_str_radix(&digits, 16).expect("at most six hexadecimal digits");
        // Nor is there a NUL.
        let value = char::from_u32(value).filter(|value| *value != '\0');
        let value = value.unwrap_or(char::REPLACEMENT_CHARACTER);
        let mut utf8 = [0; 4];
        for byte in value.encode_utf8(&mut utf8).bytes() {
            if byte.is_ascii() {
                url.push(byte as char);
            } else {
                write!(url, "%{byte:02X}").expect("a String takes everything");
            }
        }
    }
    Cow::Owned(url)
}

/// The text of a URL for within quotes and without. Nothing in it ends the URL, or the element that the sheet stands
/// in.
pub(super) fn escaped(url: &str) -> Vec<u8> {
    let special = |c: char| c <= ' ' || matches!(c, '"' | '\'' | '(' | ')' | '\\' | '<' | '\x7f');
    // Most URLs are plain, and stay as they are written.
    if !url.contains(special) {
        return bytes_of(url).into_owned();
    }
    let mut text = String::with_capacity(url.len() + 8);
    for character in url.chars() {
        if special(character) {
            write!(text, "\\{:x} ", character as u32).expect("a String takes everything");
        } else {
            text.push(character);
        }
    }
    bytes_of(&text).into_owned()
}

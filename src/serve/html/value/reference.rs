//! Character references in a value, read where they stand for ASCII.
//!
//! HTML standard, "Named character references" and "Character reference state".

use std::borrow::Cow;
use std::ops::Range;

/// A value with its character references read.
pub(super) struct Decoded<'v> {
    pub bytes: Cow<'v, [u8]>,
    /// Where each byte begins in the value, and where the value ends; empty if each is at its own place.
    offsets: Vec<usize>,
    /// The bytes that stand for a reference that was not understood.
    opaque: Vec<usize>,
}

impl<'v> Decoded<'v> {
    pub(super) fn new(value: &'v [u8]) -> Self {
        let mut decoded = Self {
            bytes: Cow::Borrowed(value),
            offsets: Vec::new(),
            opaque: Vec::new(),
        };
        // Most values have none, and are not copied.
        if !value.contains(&b'&') {
            return decoded;
        }
        let mut bytes = Vec::with_capacity(value.len());
        let mut at = 0;
        while at < value.len() {
            decoded.offsets.push(at);
            match reference(&value[at..]) {
                CharacterReference::None => {
                    bytes.push(value[at]);
                    at += 1;
                }
                CharacterReference::Ascii { byte, length } => {
                    bytes.push(byte);
                    at += length;
                }
                CharacterReference::Unknown { length } => {
                    decoded.opaque.push(bytes.len());
                    // A stand-in that nothing takes for syntax.
                    bytes.push(0xff);
                    at += length;
                }
            }
        }
        decoded.offsets.push(value.len());
        decoded.bytes = Cow::Owned(bytes);
        decoded
    }

    /// Whether a reference that was not understood is among these bytes.
    pub(super) fn is_opaque(&self, bytes: &Range<usize>) -> bool {
        let next = self.opaque.partition_point(|at| *at < bytes.start);
        self.opaque.get(next).is_some_and(|at| *at < bytes.end)
    }

    pub(super) fn original_offset(&self, at: usize) -> usize {
        self.offsets.get(at).copied().unwrap_or(at)
    }
}

enum CharacterReference {
    None,
    Ascii { byte: u8, length: usize },
    Unknown { length: usize },
}

/// Those that stand for ASCII characters, all with their semicolon.
const NAMED: [(&str, u8); 38] = [
    ("amp", b'&'),
    ("AMP", b'&'),
    ("quot", b'"'),
    ("QUOT", b'"'),
    ("apos", b'\''),
    ("lt", b'<'),
    ("LT", b'<'),
    ("gt", b'>'),
    ("GT", b'>'),
    ("sol", b'/'),
    ("bsol", b'\\'),
    ("colon", b':'),
    ("semi", b';'),
    ("period", b'.'),
    ("comma", b','),
    ("percnt", b'%'),
    ("quest", b'?'),
    ("num", b'#'),
    ("equals", b'='),
    ("commat", b'@'),
    ("lpar", b'('),
    ("rpar", b')'),
    ("lsqb", b'['),
    ("lbrack", b'['),
    ("rsqb", b']'),
    ("rbrack", b']'),
    ("lcub", b'{'),
    ("rcub", b'}'),
    ("lowbar", b'_'),
    ("plus", b'+'),
    ("ast", b'*'),
    ("excl", b'!'),
    ("dollar", b'$'),
    ("grave", b'`'),
    ("Hat", b'^'),
    ("vert", b'|'),
    ("Tab", b'\t'),
    ("NewLine", b'\n'),
];

/// Those that count without their semicolon, unless a letter, a digit or `=` follows.
const BARE: [(&str, u8); 8] = [
    ("amp", b'&'),
    ("AMP", b'&'),
    ("quot", b'"'),
    ("QUOT", b'"'),
    ("lt", b'<'),
    ("LT", b'<'),
    ("gt", b'>'),
    ("GT", b'>'),
];

/// The character reference that a text begins with.
fn reference(text: &[u8]) -> CharacterReference {
    let Some(rest) = text.strip_prefix(b"&") else {
        return CharacterReference::None;
    };
    if let Some(rest) = rest.strip_prefix(b"#") {
        return numeric(rest);
    }
    let name = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    let (name, after) = rest.split_at(name);
    let ends = after.first() == Some(&b';');
    if name.is_empty() {
        return CharacterReference::None;
    }
    let table: &[(&str, u8)] = if ends { &NAMED } else { &BARE };
    let found = table.iter().find(|(known, _)| known.as_bytes() == name);
    match (found, after.first()) {
        // In an attribute, `&copy=` is text and no reference, or the parameters of old URLs would be lost.
        (_, Some(b'=')) => CharacterReference::None,
        (Some((_, byte)), _) => CharacterReference::Ascii {
            byte: *byte,
            length: 1 + name.len() + usize::from(ends),
        },
        // It may be one of those that count without a semicolon, or none.
        (None, _) => CharacterReference::Unknown {
            length: 1 + name.len() + usize::from(ends),
        },
    }
}

fn numeric(rest: &[u8]) -> CharacterReference {
    let (radix, skipped) = match rest.first() {
        Some(b'x' | b'X') => (16, 1),
        _ => (10, 0),
    };
    let digits = rest[skipped..]
        .iter()
        .take_while(|byte| (**byte as char).is_digit(radix))
        .count();
    if digits == 0 {
        return CharacterReference::None;
    }
    let end = skipped + digits;
    // Without a semicolon numbers count as well (HTML standard, "Numeric character reference end state").
    let length = 2 + end + usize::from(rest.get(end) == Some(&b';'));
    let value = std::str::from_utf8(&rest[skipped..end])
        .ok()
        .and_then(|digits| u32::from_str_radix(digits, radix).ok());
    match value.and_then(|value| u8::try_from(value).ok()) {
        // A browser makes another character of NUL, and what lies above ASCII has bytes by the charset.
        Some(byte @ 1..0x80) => CharacterReference::Ascii { byte, length },
        _ => CharacterReference::Unknown { length },
    }
}

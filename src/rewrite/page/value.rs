//! The value of one attribute: where URLs stand in it and what they become.
//!
//! In: the bytes between the quotes, as they stand in the page. Out: edits, each a range of those bytes and the bytes to put
//! there. Character references are read where they stand for ASCII, as in `&amp;` or `&#47;`; what is put in is written so
//! that it ends no value, quoted or not. An edit covers no more than what differs: in `/a?b&c=é` that is nothing but what
//! comes before the slash, so whatever was not understood of the rest stays as it is.
//!
//! HTML standard: "srcset attributes", "Pragma directives" (refresh), "Character reference state".

use std::borrow::Cow;
use std::ops::Range;

use super::attributes::Holds;
use super::charset::{Charset, bytes_of, shown, url_in};
use super::css::{Css, Map, Piece};

/// Bytes of a value to be replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub range: Range<usize>,
    pub now: Vec<u8>,
}

/// What URLs are mapped with.
pub(super) struct Mapping<'m> {
    pub charset: Charset,
    pub map: &'m Map<'m>,
}

/// The edits that a value needs, in their order.
pub(super) fn edits(value: &[u8], holds: Holds, mapping: &Mapping<'_>) -> Vec<Edit> {
    let mut edits = Edits {
        text: Decoded::new(value),
        mapping,
        found: Vec::new(),
    };
    let text = edits.text.bytes.clone();
    match holds {
        Holds::Url => edits.url(0..text.len()),
        Holds::SpacedUrls => edits.urls_between(&text, |byte| byte.is_ascii_whitespace()),
        Holds::CommaUrls => edits.urls_between(&text, |byte| byte == b','),
        Holds::Srcset => {
            for range in candidates(&text) {
                edits.url(range);
            }
        }
        Holds::Refresh => {
            if let Some(range) = refresh_url(&text) {
                edits.url(range);
            }
        }
        Holds::Css => edits.css(&text),
        Holds::Document => {}
    }
    edits.found
}

/// The text of a value if all of its references are understood.
pub(super) fn decoded(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let decoded = Decoded::new(value);
    decoded.opaque.is_empty().then_some(decoded.bytes)
}

struct Edits<'v, 'm> {
    text: Decoded<'v>,
    mapping: &'m Mapping<'m>,
    found: Vec<Edit>,
}

impl Edits<'_, '_> {
    fn url(&mut self, range: Range<usize>) {
        let within = url_in(&self.text.bytes[range.clone()]);
        let begin = range.start + within.start;
        let was = &self.text.bytes[begin..range.start + within.end];
        // Nothing else begins a root-absolute URL or one with a scheme of ours.
        if !matches!(was.first(), Some(b'/' | b'\\' | b'h' | b'H'))
            || !self.mapping.charset.is_plain(was)
        {
            return;
        }
        if let Some(now) = (self.mapping.map)(&shown(was)) {
            let was = was.to_vec();
            self.replace(begin, &was, &bytes_of(&now));
        }
    }

    fn urls_between(&mut self, text: &[u8], separates: fn(u8) -> bool) {
        let mut begin = 0;
        for part in text.split(|byte| separates(*byte)) {
            self.url(begin..begin + part.len());
            begin += part.len() + 1;
        }
    }

    fn css(&mut self, text: &[u8]) {
        if !text.contains(&b'(') {
            return;
        }
        let mut css = Css::new(self.mapping.charset);
        let mut at = 0;
        let mut changes = Vec::new();
        let mut out = |piece: Piece<'_>| match piece {
            Piece::AsItWas(bytes) => at += bytes.len(),
            Piece::Changed { was, now } => {
                changes.push((at, was.to_vec(), now.to_vec()));
                at += was.len();
            }
        };
        css.write(text, self.mapping.map, &mut out);
        css.end(self.mapping.map, &mut out);
        for (at, was, now) in changes {
            self.replace(at, &was, &now);
        }
    }

    /// Replaces what differs, unless that covers a reference that was not understood.
    fn replace(&mut self, at: usize, was: &[u8], now: &[u8]) {
        let same = was
            .iter()
            .rev()
            .zip(now.iter().rev())
            .take_while(|(a, b)| a == b)
            .count();
        let decoded = at..at + was.len() - same;
        if self.text.opaque.iter().any(|place| decoded.contains(place)) {
            return;
        }
        let range = self.text.place(decoded.start)..self.text.place(decoded.end);
        let now = written(&now[..now.len() - same]);
        self.found.push(Edit { range, now });
    }
}

/// Bytes as they may stand in a value, whatever its quotes.
pub(super) fn written(text: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'&' => written.extend_from_slice(b"&amp;"),
            b'"' | b'\'' | b'<' | b'>' | b'`' | b'=' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' => {
                written.extend_from_slice(format!("&#{byte};").as_bytes());
            }
            _ => written.push(*byte),
        }
    }
    written
}

/// The same for a value that is known to have quotes.
pub(super) fn written_between_quotes(text: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(text.len() + text.len() / 8);
    for byte in text {
        match byte {
            b'&' => written.extend_from_slice(b"&amp;"),
            b'"' => written.extend_from_slice(b"&quot;"),
            b'\'' => written.extend_from_slice(b"&#39;"),
            _ => written.push(*byte),
        }
    }
    written
}

/// A value with its character references read.
struct Decoded<'v> {
    bytes: Cow<'v, [u8]>,
    /// Where each byte begins in the value, and where the value ends; empty if each is at its own place.
    places: Vec<usize>,
    /// The bytes that stand for a reference that was not understood.
    opaque: Vec<usize>,
}

impl<'v> Decoded<'v> {
    fn new(value: &'v [u8]) -> Self {
        let mut decoded = Self {
            bytes: Cow::Borrowed(value),
            places: Vec::new(),
            opaque: Vec::new(),
        };
        if !value.contains(&b'&') {
            return decoded;
        }
        let mut bytes = Vec::with_capacity(value.len());
        let mut at = 0;
        while at < value.len() {
            decoded.places.push(at);
            match reference(&value[at..]) {
                Reference::None => {
                    bytes.push(value[at]);
                    at += 1;
                }
                Reference::Ascii { byte, length } => {
                    bytes.push(byte);
                    at += length;
                }
                Reference::Unknown { length } => {
                    decoded.opaque.push(bytes.len());
                    bytes.push(0xff);
                    at += length;
                }
            }
        }
        decoded.places.push(value.len());
        decoded.bytes = Cow::Owned(bytes);
        decoded
    }

    fn place(&self, at: usize) -> usize {
        self.places.get(at).copied().unwrap_or(at)
    }
}

enum Reference {
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
fn reference(text: &[u8]) -> Reference {
    let Some(rest) = text.strip_prefix(b"&") else {
        return Reference::None;
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
        return Reference::None;
    }
    let table: &[(&str, u8)] = if ends { &NAMED } else { &BARE };
    let found = table.iter().find(|(known, _)| known.as_bytes() == name);
    match (found, after.first()) {
        (_, Some(b'=')) => Reference::None,
        (Some((_, byte)), _) => Reference::Ascii {
            byte: *byte,
            length: 1 + name.len() + usize::from(ends),
        },
        // It may be one of those that count without a semicolon, or none.
        (None, _) => Reference::Unknown {
            length: 1 + name.len() + usize::from(ends),
        },
    }
}

fn numeric(rest: &[u8]) -> Reference {
    let (radix, skipped) = match rest.first() {
        Some(b'x' | b'X') => (16, 1),
        _ => (10, 0),
    };
    let digits = rest[skipped..]
        .iter()
        .take_while(|byte| (**byte as char).is_digit(radix))
        .count();
    if digits == 0 {
        return Reference::None;
    }
    let end = skipped + digits;
    let length = 2 + end + usize::from(rest.get(end) == Some(&b';'));
    let value = std::str::from_utf8(&rest[skipped..end])
        .ok()
        .and_then(|digits| u32::from_str_radix(digits, radix).ok());
    match value.and_then(|value| u8::try_from(value).ok()) {
        Some(byte @ 1..0x80) => Reference::Ascii { byte, length },
        _ => Reference::Unknown { length },
    }
}

/// Where the URLs of a srcset stand.
fn candidates(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if text[at].is_ascii_whitespace() || text[at] == b',' {
            at += 1;
            continue;
        }
        let begin = at;
        at += run(&text[at..], |byte| !byte.is_ascii_whitespace());
        let commas = text[begin..at]
            .iter()
            .rev()
            .take_while(|byte| **byte == b',')
            .count();
        found.push(begin..at - commas);
        if commas > 0 {
            continue;
        }
        let mut deep = 0usize;
        at += run(&text[at..], |byte| {
            match byte {
                b'(' => deep += 1,
                b')' => deep = deep.saturating_sub(1),
                _ => {}
            }
            byte != b',' || deep > 0
        });
    }
    found
}

/// Where the URL of a `<meta http-equiv=refresh>` stands.
fn refresh_url(text: &[u8]) -> Option<Range<usize>> {
    let space = |at: usize| at + run(&text[at..], |byte| byte.is_ascii_whitespace());
    let mut at = space(0);
    let time = run(&text[at..], |byte| byte.is_ascii_digit() || byte == b'.');
    at += time;
    let separated = matches!(text.get(at), Some(b';' | b',')) || space(at) > at;
    (time > 0 && separated).then_some(())?;
    at = space(at);
    if matches!(text.get(at), Some(b';' | b',')) {
        at = space(at + 1);
    }
    if text
        .get(at..at + 3)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"url"))
    {
        let after = space(at + 3);
        if text.get(after) == Some(&b'=') {
            at = space(after + 1);
        }
    }
    let quote = text.get(at).filter(|quote| matches!(quote, b'"' | b'\''));
    let begin = at + usize::from(quote.is_some());
    let end = match quote {
        Some(quote) => begin + run(&text[begin..], |byte| byte != *quote),
        None => text.len(),
    };
    (begin < end).then_some(begin..end)
}

fn run(text: &[u8], mut belongs: impl FnMut(u8) -> bool) -> usize {
    text.iter().take_while(|byte| belongs(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(value: &str, holds: Holds) -> String {
        let mapping = Mapping {
            charset: Charset::Ascii,
            map: &|url| {
                let url = url.trim();
                url.starts_with('/').then(|| format!("./.{url}"))
            },
        };
        let mut text = value.as_bytes().to_vec();
        for edit in edits(value.as_bytes(), holds, &mapping).into_iter().rev() {
            text.splice(edit.range, edit.now);
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_url_is_mapped_and_what_follows_stays_as_it_is_written() {
        for (value, expected) in [
            ("/x", "././x"),
            ("/", "././"),
            ("/x?a=1&amp;b=2", "././x?a=1&amp;b=2"),
            ("/x?a=1&b=2&copy=3", "././x?a=1&b=2&copy=3"),
            ("/x&eacute;&#233;é", "././x&eacute;&#233;é"),
            ("&#47;x", "./.&#47;x"),
            ("&#x2F;x", "./.&#x2F;x"),
            ("&#47x", "./.&#47x"),
            ("&sol;x", "./.&sol;x"),
            ("/a'b", "././a'b"),
            (" /x\n", " ././x\n"),
            ("x", "x"),
            ("&copy;/x", "&copy;/x"),
            ("", ""),
            ("&", "&"),
            ("&#", "&#"),
            ("&#x;", "&#x;"),
        ] {
            assert_eq!(mapped(value, Holds::Url), expected, "{value}");
        }
    }

    #[test]
    fn lists_are_mapped_one_by_one() {
        assert_eq!(mapped("/x b\n/y", Holds::SpacedUrls), "././x b\n././y");
        assert_eq!(mapped("/x,b,/y", Holds::CommaUrls), "././x,b,././y");
    }

    #[test]
    fn srcset_is_read_as_browsers_read_it() {
        for (value, expected) in [
            ("/x", "././x"),
            ("/x 1x, /y 2x", "././x 1x, ././y 2x"),
            ("/x 1x,/y 2x", "././x 1x,././y 2x"),
            ("/x, /y", "././x, ././y"),
            ("/x,/y", "././x,/y"),
            (" , /x 100w , y", " , ././x 100w , y"),
            ("/x f(a, /b) 1x, /y", "././x f(a, /b) 1x, ././y"),
            (
                "data:image/png;base64,/a 1x, /y 2x",
                "data:image/png;base64,/a 1x, ././y 2x",
            ),
            ("/x&#32;1x, /y", "././x&#32;1x, ././y"),
        ] {
            assert_eq!(mapped(value, Holds::Srcset), expected, "{value}");
        }
    }

    #[test]
    fn refresh_is_read_as_browsers_read_it() {
        for (value, expected) in [
            ("0;url=/x", "0;url=././x"),
            (" 5 ; URL = '/x' ", " 5 ; URL = '././x' "),
            ("0, /x", "0, ././x"),
            ("1.5 /x", "1.5 ././x"),
            ("0;url=\"/x\"y", "0;url=\"././x\"y"),
            ("5", "5"),
            ("/x", "/x"),
            ("a;url=/x", "a;url=/x"),
            ("0url=/x", "0url=/x"),
        ] {
            assert_eq!(mapped(value, Holds::Refresh), expected, "{value}");
        }
    }

    #[test]
    fn styles_are_read_behind_their_references() {
        for (value, expected) in [
            ("background:url(/x)", "background:url(././x)"),
            ("background:url('/x')", "background:url('././x')"),
            (
                "a:url(&quot;/x?a&amp;b&quot;)",
                "a:url(&quot;././x?a&amp;b&quot;)",
            ),
            (
                "a:url(&#39;/x&#39;);b:url(/y)",
                "a:url(&#39;././x&#39;);b:url(././y)",
            ),
            ("a:url(/x&copy;)", "a:url(././x&copy;)"),
            ("content:'/x'", "content:'/x'"),
        ] {
            assert_eq!(mapped(value, Holds::Css), expected, "{value}");
        }
    }

    #[test]
    fn what_is_put_in_ends_no_value() {
        assert_eq!(
            written(b"a\"'<>` =&"),
            b"a&#34;&#39;&#60;&#62;&#96;&#32;&#61;&amp;"
        );
        let mapping = Mapping {
            charset: Charset::Ascii,
            map: &|_| Some("\"><script>".into()),
        };
        assert_eq!(
            edits(b"/x", Holds::Url, &mapping),
            [Edit {
                range: 0..2,
                now: b"&#34;&#62;&#60;script&#62;".to_vec(),
            }]
        );
    }

    #[test]
    fn text_with_characters_of_two_bytes_stays() {
        let mapping = Mapping {
            charset: Charset::ShiftJis,
            map: &|_| Some("x".into()),
        };
        assert_eq!(edits(b"/\x83\x5c", Holds::Url, &mapping), []);
    }
}

//! The value of one attribute: where URLs stand in it and what they become.
//!
//! In: the bytes between the quotes, as they stand in the page. Out: edits, each a range of those bytes and the bytes
//! to put there. Character references are read where they stand for ASCII, as in `&amp;` or `&#47;`; what is put in is
//! written so that it ends no value, quoted or not. An edit covers no more than what differs: in `/a?b&c=é` that is
//! nothing but what comes before the slash, so whatever was not understood of the rest stays as it is.
//!
//! HTML standard: "srcset attributes", "Pragma directives" (refresh), "Character reference state".

mod reference;
mod srcset;

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use super::attributes::UrlSyntax;
use super::charset::{Charset, bytes_of, shown, url_in};
use super::css::{Css, Map, Piece};
use reference::Decoded;
use srcset::{candidates, refresh_url};

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
    /// Bytes that may still be put in.
    pub room: Cell<usize>,
}

impl Mapping<'_> {
    /// Takes room for an edit; `false`: there is none left, so this URL and all after it stay as they are.
    fn takes(&self, now: &[u8]) -> bool {
        // An edit is counted with what it takes to keep it, as a value may be nothing but short URLs.
        let left = self.room.get().checked_sub(now.len() + size_of::<Edit>());
        // Once it is used up it stays so: no later URL that happens to be shorter is mapped alone.
        self.room.set(left.unwrap_or(0));
        left.is_some()
    }
}

/// Whether a value is a URL without references, which most are: reading it costs next to nothing.
pub(super) fn is_plain_url(value: &[u8], syntax: UrlSyntax) -> bool {
    syntax == UrlSyntax::Url && !value.contains(&b'&')
}

/// Adds the edits that a value needs, in their order, with ranges that begin at `begin`.
pub(super) fn add_edits(
    value: &[u8],
    begin: usize,
    syntax: UrlSyntax,
    mapping: &Mapping<'_>,
    edits: &mut Vec<Edit>,
) {
    if is_plain_url(value, syntax) {
        edits.extend(plain_url(value, begin, mapping));
        return;
    }
    edits.extend(found(value, syntax, mapping).into_iter().map(|edit| Edit {
        range: begin + edit.range.start..begin + edit.range.end,
        now: edit.now,
    }));
}

/// A URL without references, which most are: the short way.
fn plain_url(value: &[u8], begin: usize, mapping: &Mapping<'_>) -> Option<Edit> {
    let url = url_in(value);
    let was = &value[url.clone()];
    if !may_be_mapped(was, mapping) {
        return None;
    }
    let now = (mapping.map)(&shown(was))?;
    let now = bytes_of(&now);
    // Only the beginning differs, and what is not replaced keeps its own way of writing.
    let same = same_at_the_end(was, &now);
    let now = escape_attribute(&now[..now.len() - same]);
    mapping.takes(&now).then(|| Edit {
        range: begin + url.start..begin + url.end - same,
        now,
    })
}

/// Nothing else begins a root-absolute URL or one with a scheme of ours.
fn may_be_mapped(url: &[u8], mapping: &Mapping<'_>) -> bool {
    matches!(url.first(), Some(b'/' | b'\\' | b'h' | b'H')) && mapping.charset.is_plain(url)
}

fn same_at_the_end(was: &[u8], now: &[u8]) -> usize {
    let pairs = was.iter().rev().zip(now.iter().rev());
    pairs.take_while(|(was, now)| was == now).count()
}

fn found(value: &[u8], syntax: UrlSyntax, mapping: &Mapping<'_>) -> Vec<Edit> {
    let mut edits = Edits {
        text: Decoded::new(value),
        mapping,
        found: Vec::new(),
    };
    // A copy, as edits are added while the text is read.
    let text = edits.text.bytes.clone();
    match syntax {
        UrlSyntax::Url => edits.url(0..text.len()),
        UrlSyntax::SpacedUrls => edits.urls_between(&text, |byte| byte.is_ascii_whitespace()),
        UrlSyntax::CommaUrls => edits.urls_between(&text, |byte| byte == b','),
        UrlSyntax::Srcset => {
            for range in candidates(&text) {
                edits.url(range);
            }
        }
        UrlSyntax::Refresh => {
            if let Some(range) = refresh_url(&text) {
                edits.url(range);
            }
        }
        UrlSyntax::Css => edits.css(&text),
        UrlSyntax::Document => {}
    }
    edits.found
}

/// The text of a value if all of its references are understood.
pub(super) fn decoded(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let decoded = Decoded::new(value);
    let is_opaque = decoded.is_opaque(&(0..decoded.bytes.len()));
    (!is_opaque).then_some(decoded.bytes)
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
        // Looked at before the URL is mapped, so that a value beyond its bound costs little more.
        if !may_be_mapped(was, self.mapping) || self.mapping.room.get() == 0 {
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
        // Nearly all styles have no URL, and are not read as a sheet.
        if !text.contains(&b'(') {
            return;
        }
        let mut css = Css::new(self.mapping.charset);
        let mut at = 0;
        let mut changes = Vec::new();
        // Counted apart and not taken: what is taken is decided below, where references are known.
        let mut room = self.mapping.room.get();
        let mut out = |piece: Piece<'_>| match piece {
            Piece::AsItWas(bytes) => at += bytes.len(),
            Piece::Changed { was, now } => {
                room = room.saturating_sub(now.len() + size_of::<Edit>());
                if room > 0 {
                    changes.push((at, was.to_vec(), now.to_vec()));
                }
                at += was.len();
            }
        };
        css.write(text, self.mapping.map, &mut out);
        css.end(self.mapping.map, &mut out);
        // Afterwards, as the sheet's reader borrows the text while it runs.
        for (at, was, now) in changes {
            self.replace(at, &was, &now);
        }
    }

    /// Replaces what differs, unless that covers a reference that was not understood.
    fn replace(&mut self, at: usize, was: &[u8], now: &[u8]) {
        let same = same_at_the_end(was, now);
        let decoded = at..at + was.len() - same;
        // To write over a reference that was not understood could change what it stands for.
        if self.text.is_opaque(&decoded) {
            return;
        }
        let range =
            self.text.original_offset(decoded.start)..self.text.original_offset(decoded.end);
        let now = escape_attribute(&now[..now.len() - same]);
        if self.mapping.takes(&now) {
            self.found.push(Edit { range, now });
        }
    }
}

/// Bytes as they may stand in a value, whatever its quotes.
pub(super) fn escape_attribute(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'&' => escaped.extend_from_slice(b"&amp;"),
            // Also what ends an unquoted value, as the quotes of the page are not known here.
            b'"' | b'\'' | b'<' | b'>' | b'`' | b'=' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' => {
                escaped.extend_from_slice(format!("&#{byte};").as_bytes());
            }
            _ => escaped.push(*byte),
        }
    }
    escaped
}

/// The same for a value that is known to have quotes.
pub(super) fn escape_quoted(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len() + text.len() / 8);
    for byte in text {
        match byte {
            b'&' => escaped.extend_from_slice(b"&amp;"),
            b'"' => escaped.extend_from_slice(b"&quot;"),
            b'\'' => escaped.extend_from_slice(b"&#39;"),
            _ => escaped.push(*byte),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(value: &[u8], syntax: UrlSyntax, mapping: &Mapping<'_>) -> Vec<Edit> {
        let mut edits = Vec::new();
        add_edits(value, 0, syntax, mapping, &mut edits);
        edits
    }

    fn mapped(value: &str, syntax: UrlSyntax) -> String {
        let mapping = Mapping {
            charset: Charset::Ascii,
            room: Cell::new(1024),
            map: &|url| {
                let url = url.trim();
                url.starts_with('/').then(|| format!("./.{url}"))
            },
        };
        let mut text = value.as_bytes().to_vec();
        for edit in edits(value.as_bytes(), syntax, &mapping).into_iter().rev() {
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
            assert_eq!(mapped(value, UrlSyntax::Url), expected, "{value}");
        }
    }

    #[test]
    fn lists_are_mapped_one_by_one() {
        assert_eq!(mapped("/x b\n/y", UrlSyntax::SpacedUrls), "././x b\n././y");
        assert_eq!(mapped("/x,b,/y", UrlSyntax::CommaUrls), "././x,b,././y");
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
            ("/x f((a), /y", "././x f((a), ././y"),
            (
                "data:image/png;base64,/a 1x, /y 2x",
                "data:image/png;base64,/a 1x, ././y 2x",
            ),
            ("/x&#32;1x, /y", "././x&#32;1x, ././y"),
        ] {
            assert_eq!(mapped(value, UrlSyntax::Srcset), expected, "{value}");
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
            assert_eq!(mapped(value, UrlSyntax::Refresh), expected, "{value}");
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
            assert_eq!(mapped(value, UrlSyntax::Css), expected, "{value}");
        }
    }

    #[test]
    fn what_is_put_in_ends_no_value() {
        assert_eq!(
            escape_attribute(b"a\"'<>` =&"),
            b"a&#34;&#39;&#60;&#62;&#96;&#32;&#61;&amp;"
        );
        let mapping = Mapping {
            charset: Charset::Ascii,
            room: Cell::new(1024),
            map: &|_| Some("\"><script>".into()),
        };
        assert_eq!(
            edits(b"/x", UrlSyntax::Url, &mapping),
            [Edit {
                range: 0..2,
                now: b"&#34;&#62;&#60;script&#62;".to_vec(),
            }]
        );
    }

    #[test]
    fn a_value_grows_no_further_than_its_room_and_keeps_the_rest_as_it_is() {
        for (value, syntax) in [
            ("/ ".repeat(1000), UrlSyntax::SpacedUrls),
            ("/,".repeat(1000), UrlSyntax::CommaUrls),
            ("/ ,".repeat(1000), UrlSyntax::Srcset),
            ("url(/)".repeat(1000), UrlSyntax::Css),
        ] {
            let now = mapped(&value, syntax);
            assert!(now.len() > value.len(), "{syntax:?}");
            assert!(now.len() < value.len() + 1024, "{syntax:?}");
        }
    }

    #[test]
    fn text_with_characters_of_two_bytes_stays() {
        let mapping = Mapping {
            charset: Charset::ShiftJis,
            room: Cell::new(1024),
            map: &|_| Some("x".into()),
        };
        assert_eq!(edits(b"/\x83\x5c", UrlSyntax::Url, &mapping), []);
    }
}

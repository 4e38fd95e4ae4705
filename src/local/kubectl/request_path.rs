//! A request's path as Go's `net/url` holds it: decoded, and beside it the spelling it came in where that is not the
//! usual one.
//!
//! kubectl proxy changes the decoded path and leaves the spelling alone. Which of the two is sent on then depends on
//! whether they still agree; [`RequestPath::escaped`] decides that as `URL.EscapedPath` does.
//!
//! Refused: a `%` that is not followed by two hexadecimal digits.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// What stands unescaped in a path that Go writes: unreserved characters and `$&+,/:;=@` (`shouldEscape`, RFC 3986
/// section 3.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// What may stand unescaped in a spelling that Go keeps as it is, beyond what it writes itself (`validEncoded`).
const ALSO_KEPT: &[u8] = b"!'()*[]%";

/// A path, decoded, with its spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct RequestPath {
    /// Go's `URL.Path`.
    pub(in crate::local) decoded: Vec<u8>,
    /// Go's `URL.RawPath`: empty where the usual escaping of `decoded` is what came.
    pub(in crate::local) encoded: String,
}

/// A `%` that begins no escape.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::local) struct BadEscape;

impl RequestPath {
    pub(in crate::local) fn parse(path: &str) -> Result<Self, BadEscape> {
        let decoded = unescape(path).ok_or(BadEscape)?;
        let encoded = if escape(&decoded) == path {
            String::new()
        } else {
            path.to_owned()
        };
        Ok(Self { decoded, encoded })
    }

    /// The path as it is written: the spelling while it is one of the decoded path, otherwise the usual escaping.
    pub(in crate::local) fn escaped(&self) -> String {
        let kept = !self.encoded.is_empty()
            && self.encoded.bytes().all(is_kept)
            // The decoded path may have changed since: then the spelling is of another path, and goes.
            && unescape(&self.encoded).as_ref() == Some(&self.decoded);
        if kept {
            self.encoded.clone()
        } else {
            escape(&self.decoded)
        }
    }
}

/// The usual escaping of a decoded path.
pub(in crate::local) fn escape(decoded: &[u8]) -> String {
    percent_encode(decoded, ESCAPED).to_string()
}

/// The bytes that an escaped path stands for.
pub(in crate::local) fn unescape(path: &str) -> Option<Vec<u8>> {
    let bytes = path.as_bytes();
    let begins_an_escape = |at: usize| {
        let digits = bytes.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let is_well_formed = bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte != b'%' || begins_an_escape(at));
    is_well_formed.then(|| percent_decode(bytes).collect())
}

/// A path without `.`, `..` and empty segments, from the root; a slash at its end stays (`cleanPath` of Go's ServeMux).
pub(in crate::local) fn clean(path: &[u8]) -> Vec<u8> {
    let mut cleaned = rooted(path);
    if path.ends_with(b"/") && cleaned != b"/" {
        cleaned.push(b'/');
    }
    cleaned
}

/// As [`clean`], and without a slash at its end (Go's `path.Clean` of a path from the root).
pub(in crate::local) fn rooted(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut cleaned = vec![b'/'];
    cleaned.extend(segments.join(&b'/'));
    cleaned
}

/// Text as Go's regular expressions see bytes: each byte that is no UTF-8 is one U+FFFD.
pub(in crate::local) fn as_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

fn is_kept(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte) || ALSO_KEPT.contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spelling_is_kept_while_it_is_valid() {
        // The second column was printed by Go's URL.EscapedPath for the first.
        for (came, written) in [
            ("/a/b", "/a/b"),
            ("/a%2Fb", "/a%2Fb"),
            ("/a%2fb", "/a%2fb"),
            ("/a%20b", "/a%20b"),
            ("/%61", "/%61"),
            ("/a(b)!'*", "/a(b)!'*"),
            ("/a%28b", "/a%28b"),
            ("/[::1]", "/[::1]"),
            ("/a\"b", "/a%22b"),
            ("/a%2Fb\"c", "/a/b%22c"),
            ("/é", "/%C3%A9"),
            ("/%C3%A9", "/%C3%A9"),
            ("/%c3%a9", "/%c3%a9"),
            ("/%FF", "/%FF"),
            ("/a;b=c,d", "/a;b=c,d"),
            ("/a{b}|c^d`", "/a%7Bb%7D%7Cc%5Ed%60"),
            ("/a%25b", "/a%25b"),
            ("/a%3Fb", "/a%3Fb"),
        ] {
            let path = RequestPath::parse(came).unwrap();
            assert_eq!(path.escaped(), written, "{came}");
        }
    }

    #[test]
    fn a_percent_sign_needs_two_digits() {
        for path in ["/%", "/%2", "/%zz", "/a%2", "/%%20"] {
            assert_eq!(RequestPath::parse(path), Err(BadEscape), "{path}");
        }
    }

    #[test]
    fn dots_and_empty_segments_go() {
        for (path, cleaned) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/a//b/", "/a/b/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/../..", "/"),
            ("/a/..", "/"),
            ("/a/.", "/a"),
            ("/a/b/../", "/a/"),
            ("a", "/a"),
            ("/...", "/..."),
        ] {
            assert_eq!(clean(path.as_bytes()), cleaned.as_bytes(), "{path}");
        }
    }

    #[test]
    fn each_byte_that_is_no_utf8_is_one_character() {
        assert_eq!(as_text(b"/\xE2\x82a\xFF"), "/\u{FFFD}\u{FFFD}a\u{FFFD}");
    }
}

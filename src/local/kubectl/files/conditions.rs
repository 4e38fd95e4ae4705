//! Conditional requests for a file: what a date and an entity tag in the request decide.
//!
//! Files have a date and no tag, so that `If-Match` only holds as `*` and `If-Range` only as the date. As Go's
//! `checkPreconditions` of `net/http`; RFC 9110 section 13.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// It is answered in full; its `Range` counts.
    Holds,
    /// It is answered in full; its `Range` does not count.
    HoldsForTheWhole,
    NotModified,
    Failed,
}

/// The date of a file, in whole seconds; none for one from 1970, which stands for "unknown".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Modified(Option<Duration>);

/// The end of the year 9999, behind which there is no way of writing a date.
const LAST_SECOND: u64 = 253_402_300_799;

impl Modified {
    pub(super) fn at(time: Option<SystemTime>) -> Self {
        let seconds = time
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map(|since| since.as_secs());
        let writable = seconds.filter(|seconds| (1..=LAST_SECOND).contains(seconds));
        Self(writable.map(Duration::from_secs))
    }

    /// As `Last-Modified`.
    pub(super) fn header(self) -> Option<HeaderValue> {
        let text = httpdate::fmt_http_date(UNIX_EPOCH + self.0?);
        HeaderValue::try_from(text).ok()
    }

    fn is_after(self, date: SystemTime) -> bool {
        self.0.is_some_and(|since| UNIX_EPOCH + since > date)
    }

    fn is(self, date: SystemTime) -> bool {
        self.0.is_some_and(|since| UNIX_EPOCH + since == date)
    }
}

/// Checks the conditions of a request for a file.
pub(super) fn check(method: &Method, headers: &HeaderMap, modified: Modified) -> Condition {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    // `If-Match` before `If-Unmodified-Since`, which does not count beside it (RFC 9110 section 13.2.2).
    let fails = match value(headers, header::IF_MATCH) {
        Some(tags) => !names_anything(tags),
        None => {
            date(headers, header::IF_UNMODIFIED_SINCE).is_some_and(|date| modified.is_after(date))
        }
    };
    if fails {
        return Condition::Failed;
    }
    // After those that can fail, and before the date, which does not count beside a tag.
    match value(headers, header::IF_NONE_MATCH) {
        Some(tags) if names_anything(tags) && reads => return Condition::NotModified,
        Some(tags) if names_anything(tags) => return Condition::Failed,
        Some(_) => {}
        None if is_unchanged(method, headers, modified) => return Condition::NotModified,
        None => {}
    }
    match value(headers, header::IF_RANGE) {
        Some(text) if reads && !is_date_of(text, modified) => Condition::HoldsForTheWhole,
        _ => Condition::Holds,
    }
}

/// Whether `If-Modified-Since` says that a file or directory is known already.
pub(super) fn is_unchanged(method: &Method, headers: &HeaderMap, modified: Modified) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
        && modified.0.is_some()
        && date(headers, header::IF_MODIFIED_SINCE).is_some_and(|date| !modified.is_after(date))
}

/// Whether a list of tags gets to a `*`; a tag before it is none of ours, and what is no tag ends the list.
fn names_anything(tags: &[u8]) -> bool {
    let mut rest = tags;
    loop {
        rest = trim(rest);
        match rest {
            [] => return false,
            [b',', after @ ..] => rest = after,
            [b'*', ..] => return true,
            // A tag of somebody else's matches nothing here, so the list goes on.
            _ => match after_tag(rest) {
                Some(after) => rest = after,
                None => return false,
            },
        }
    }
}

/// What stands behind an entity tag.
fn after_tag(text: &[u8]) -> Option<&[u8]> {
    let quoted = text
        .strip_prefix(b"W/")
        .unwrap_or(text)
        .strip_prefix(b"\"")?;
    let end = quoted.iter().position(|byte| *byte == b'"')?;
    let (tag, rest) = quoted.split_at(end);
    let is_tag = tag
        .iter()
        .all(|byte| matches!(byte, 0x21 | 0x23..=0x7E | 0x80..));
    is_tag.then(|| &rest[1..])
}

/// `If-Range` with a tag never holds: files have none.
fn is_date_of(text: &[u8], modified: Modified) -> bool {
    after_tag(trim(text)).is_none() && parse_date(text).is_some_and(|date| modified.is(date))
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    value(headers, name).and_then(parse_date)
}

fn parse_date(text: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(str::from_utf8(text).ok()?).ok()
}

/// A header's first value; an empty one is none.
fn value(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    headers
        .get(name)
        .map(HeaderValue::as_bytes)
        .filter(|value| !value.is_empty())
}

fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let begin = text
        .iter()
        .position(|byte| !is_space(byte))
        .unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(|byte| !is_space(byte))
        .map_or(begin, |last| last + 1);
    &text[begin..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const EXACTLY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sunday, 06-Nov-94 08:49:38 GMT";

    fn checked(method: &Method, lines: &[(HeaderName, &str)]) -> Condition {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let time = UNIX_EPOCH + Duration::from_millis(784_111_777_900);
        check(method, &headers, Modified::at(Some(time)))
    }

    #[test]
    fn dates_decide() {
        use Condition::{Failed, Holds, HoldsForTheWhole, NotModified};
        for (method, name, text, expected) in [
            (Method::GET, header::IF_MODIFIED_SINCE, BEFORE, Holds),
            (Method::GET, header::IF_MODIFIED_SINCE, EXACTLY, NotModified),
            (Method::HEAD, header::IF_MODIFIED_SINCE, AFTER, NotModified),
            (Method::POST, header::IF_MODIFIED_SINCE, AFTER, Holds),
            (Method::GET, header::IF_MODIFIED_SINCE, "yesterday", Holds),
            (Method::GET, header::IF_UNMODIFIED_SINCE, BEFORE, Failed),
            (Method::POST, header::IF_UNMODIFIED_SINCE, BEFORE, Failed),
            (Method::GET, header::IF_UNMODIFIED_SINCE, EXACTLY, Holds),
            (Method::GET, header::IF_RANGE, EXACTLY, Holds),
            (Method::GET, header::IF_RANGE, AFTER, HoldsForTheWhole),
            (Method::GET, header::IF_RANGE, "\"tag\"", HoldsForTheWhole),
            (Method::GET, header::IF_RANGE, "yesterday", HoldsForTheWhole),
            (Method::POST, header::IF_RANGE, AFTER, Holds),
        ] {
            let found = checked(&method, &[(name.clone(), text)]);
            assert_eq!(found, expected, "{method} {name}: {text}");
        }
    }

    #[test]
    fn only_a_star_matches_a_file() {
        use Condition::{Failed, Holds, NotModified};
        for (method, name, text, expected) in [
            (Method::GET, header::IF_MATCH, "*", Holds),
            (Method::GET, header::IF_MATCH, "\"a\"", Failed),
            (Method::GET, header::IF_MATCH, " , \"a\" , *", Holds),
            (Method::GET, header::IF_MATCH, "a, *", Failed),
            (Method::GET, header::IF_NONE_MATCH, "*", NotModified),
            (Method::PUT, header::IF_NONE_MATCH, "*", Failed),
            (Method::GET, header::IF_NONE_MATCH, "W/\"a\", \"b\"", Holds),
        ] {
            let found = checked(&method, &[(name.clone(), text)]);
            assert_eq!(found, expected, "{method} {name}: {text}");
        }
    }

    #[test]
    fn a_tag_that_is_not_ours_hides_the_date() {
        let lines = [
            (header::IF_NONE_MATCH, "\"a\""),
            (header::IF_MODIFIED_SINCE, AFTER),
        ];
        assert_eq!(checked(&Method::GET, &lines), Condition::Holds);
    }

    #[test]
    fn a_file_without_a_date_is_always_new() {
        for time in [None, Some(UNIX_EPOCH)] {
            let modified = Modified::at(time);
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MODIFIED_SINCE, HeaderValue::from_static(EXACTLY));
            assert_eq!(check(&Method::GET, &headers, modified), Condition::Holds);
            assert_eq!(modified.header(), None);
        }
    }
}

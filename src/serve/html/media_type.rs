//! The media type of a response as browsers judge it, where it may be said several times.
//!
//! In: all `Content-Type` lines. Out: the last of them that is a type at all, as the Fetch standard has it ("extract a
//! MIME type"): a value that is none, and `*/*`, does not count. Nothing is taken for a page here that a browser takes
//! for something else, and the lines go on as they came.
//!
//! <https://fetch.spec.whatwg.org/#concept-header-extract-mime-type>

use http::header::{CONTENT_TYPE, HeaderMap};

/// A longer line is no type of anything.
const MAX_LINE: usize = 1024;

/// The type that counts, with its parameters.
pub(super) fn of(headers: &HeaderMap) -> Option<&[u8]> {
    let mut counts = None;
    for line in headers.get_all(CONTENT_TYPE) {
        let line = line.as_bytes();
        // Longer than any type, so it is read by nobody.
        if line.len() > MAX_LINE {
            continue;
        }
        let last = if line.contains(&b',') {
            let said = values(line).map(<[u8]>::trim_ascii);
            said.filter(|value| is_type(value)).last()
        } else {
            Some(line.trim_ascii()).filter(|value| is_type(value))
        };
        // The last that is a type wins, as the Fetch standard has it.
        counts = last.or(counts);
    }
    counts
}

/// What a type is called, without its parameters.
pub(super) fn essence(value: &[u8]) -> &[u8] {
    let essence = value.split(|byte| *byte == b';').next();
    essence.unwrap_or_default().trim_ascii()
}

/// The values of a line: a comma in a quoted string separates nothing.
fn values(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    line.split(move |byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ => {}
        }
        *byte == b',' && !is_quoted
    })
}

fn is_type(value: &[u8]) -> bool {
    let essence = essence(value);
    let Some(slash) = essence.iter().position(|byte| *byte == b'/') else {
        return false;
    };
    // A second slash is no part of a token.
    essence != b"*/*" && is_token(&essence[..slash]) && is_token(&essence[slash + 1..])
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~'
                )
        })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_last_type_counts_as_in_browsers() {
        for (lines, expected) in [
            (&["text/html"][..], Some("text/html")),
            (&["text/html", "text/plain"], Some("text/plain")),
            (&["text/plain", "text/html"], Some("text/html")),
            (&["text/plain, text/html;a=b"], Some("text/html;a=b")),
            (&["text/html, text/plain"], Some("text/plain")),
            (&["text/html;a=\"b,c/d\""], Some("text/html;a=\"b,c/d\"")),
            (&["text/html", "*/*"], Some("text/html")),
            (&["text/html", "nonsense"], Some("text/html")),
            (&["text/html", ""], Some("text/html")),
            (&["text / html"], None),
            (&["text/html/x"], None),
            (&["/html"], None),
            (&["text/"], None),
            (&[" text/html ;a=b "], Some("text/html ;a=b")),
            (
                &["text/h!#$%&'*+-.^_`|~Z9"],
                Some("text/h!#$%&'*+-.^_`|~Z9"),
            ),
            (&["text/(html)"], None),
            (&["text/html{"], None),
            (&[""], None),
            (&[], None),
        ] {
            let line = |line: &&'static str| (CONTENT_TYPE, HeaderValue::from_static(line));
            let headers: HeaderMap = lines.iter().map(line).collect();
            assert_eq!(of(&headers), expected.map(str::as_bytes), "{lines:?}");
        }
    }
}

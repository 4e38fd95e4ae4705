//! Where URLs stand in a `srcset` and in the content of a refresh.
//!
//! HTML standard, "srcset attributes" and "Refresh state".

use std::ops::Range;

/// URLs of a longer srcset stay as they are.
const MAX_CANDIDATES: usize = 4096;

/// Where the URLs of a srcset stand.
pub(super) fn candidates(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() && found.len() < MAX_CANDIDATES {
        if text[at].is_ascii_whitespace() || text[at] == b',' {
            at += 1;
            continue;
        }
        let begin = at;
        at += run(&text[at..], |byte| !byte.is_ascii_whitespace());
        // Commas at the end of a URL part it from the next; in its middle they belong to it.
        let commas = text[begin..at]
            .iter()
            .rev()
            .take_while(|byte| **byte == b',')
            .count();
        found.push(begin..at - commas);
        // A comma right behind the URL leaves no room for a width.
        if commas > 0 {
            continue;
        }
        // One closes all that are open.
        let mut is_within = false;
        at += run(&text[at..], |byte| {
            match byte {
                b'(' => is_within = true,
                b')' => is_within = false,
                _ => {}
            }
            byte != b',' || is_within
        });
    }
    found
}

/// Where the URL of a `<meta http-equiv=refresh>` stands.
pub(super) fn refresh_url(text: &[u8]) -> Option<Range<usize>> {
    let space = |at: usize| at + run(&text[at..], |byte| byte.is_ascii_whitespace());
    let mut at = space(0);
    let time = run(&text[at..], |byte| byte.is_ascii_digit() || byte == b'.');
    at += time;
    let separated = matches!(text.get(at), Some(b';' | b',')) || space(at) > at;
    // Without a time, or with something else behind it, a browser does not refresh at all.
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
        // What follows the closing quote is no part of the URL.
        Some(quote) => begin + run(&text[begin..], |byte| byte != *quote),
        None => text.len(),
    };
    (begin < end).then_some(begin..end)
}

fn run(text: &[u8], mut belongs: impl FnMut(u8) -> bool) -> usize {
    text.iter().take_while(|byte| belongs(**byte)).count()
}

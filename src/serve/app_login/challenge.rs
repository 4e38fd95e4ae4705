//! What a 401 asks for: reads `WWW-Authenticate`.
//!
//! Several challenges may stand in one line or in many, and the commas between them look like those between their
//! parameters. A piece between commas that begins with `name=` is a parameter of the challenge before it; anything else
//! begins a new one.
//!
//! RFC 9110 section 11.6.1; Basic is RFC 7617.

use http::{HeaderMap, header};

/// Characters of a realm that are shown.
const MAX_REALM: usize = 200;

/// Challenges that are read of one response, and bytes of each line. What is past that is read as a challenge that
/// opens a dialog.
const MAX_CHALLENGES: usize = 32;
const MAX_LINE: usize = 8 * 1024;

/// The realm of the first Basic challenge, empty if it has none; `None` if there is no such challenge.
pub(super) fn basic_realm(headers: &HeaderMap) -> Option<String> {
    challenges(headers)
        .into_iter()
        .find(|challenge| challenge.scheme == "basic")
        .map(|challenge| challenge.realm)
}

/// Whether a browser that sees these challenges would ask its user in a dialog.
pub(super) fn opens_dialog(headers: &HeaderMap) -> bool {
    let found = challenges(headers);
    let mut lines = headers.get_all(header::WWW_AUTHENTICATE).iter();
    // What was not read may be anything, so it is treated as the worst that it could be.
    if found.len() >= MAX_CHALLENGES || lines.any(|line| line.len() > MAX_LINE) {
        return true;
    }
    found.iter().any(|challenge| {
        matches!(
            challenge.scheme.as_str(),
            "basic" | "digest" | "ntlm" | "negotiate"
        )
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    /// In lower case.
    scheme: String,
    realm: String,
}

fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let mut found = Vec::new();
    for line in headers.get_all(header::WWW_AUTHENTICATE) {
        // Cut before it is looked through, so that a long line costs no more than a short one.
        let line = &line.as_bytes()[..line.len().min(MAX_LINE)];
        // Each line begins anew: a parameter belongs to no challenge of another line.
        let from = found.len();
        for piece in pieces(&String::from_utf8_lossy(line)) {
            if found.len() >= MAX_CHALLENGES {
                return found;
            }
            read(piece.trim(), from, &mut found);
        }
    }
    found
}

/// One piece between commas: a challenge with its first parameter, or a further parameter.
fn read(piece: &str, from: usize, found: &mut Vec<Challenge>) {
    let end = piece.find(|c| !is_token(c)).unwrap_or(piece.len());
    let (name, rest) = piece.split_at(end);
    // An empty piece between two commas is allowed in lists (RFC 9110 section 5.6.1).
    if name.is_empty() {
        return;
    }
    // A parameter without a challenge before it in its line belongs to nobody.
    if let Some(value) = rest.trim_start().strip_prefix('=') {
        if found.len() > from
            && let Some(challenge) = found.last_mut()
        {
            set(challenge, name, value);
        }
        return;
    }
    found.push(Challenge {
        scheme: name.to_ascii_lowercase(),
        realm: String::new(),
    });
    // The first parameter stands behind the scheme, with nothing but a space between them.
    if let (Some((name, value)), Some(challenge)) = (rest.split_once('='), found.last_mut()) {
        set(challenge, name.trim(), value);
    }
}

fn set(challenge: &mut Challenge, name: &str, value: &str) {
    if name.eq_ignore_ascii_case("realm") {
        challenge.realm = unquoted(value.trim()).chars().take(MAX_REALM).collect();
    }
}

fn unquoted(value: &str) -> String {
    let Some(quoted) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => text.extend(characters.next()),
            plain => text.push(plain),
        }
    }
    text
}

/// What stands between the commas that are in no quoted string.
fn pieces(line: &str) -> Vec<&str> {
    let (mut found, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, character) in line.char_indices() {
        match character {
            // Asked first: an escaped quote ends no string.
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                found.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&line[start..]);
    found
}

fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            map.append(header::WWW_AUTHENTICATE, value);
        }
        map
    }

    #[test]
    fn basic_is_found_wherever_it_stands() {
        for (lines, realm) in [
            (&["Basic realm=\"RabbitMQ\""][..], Some("RabbitMQ")),
            (&["bAsIc REALM = plain"], Some("plain")),
            (&["Basic"], Some("")),
            (
                &["Basic charset=\"UTF-8\", realm=\"a, \\\"b\\\"\""],
                Some("a, \"b\""),
            ),
            (
                &["Digest realm=\"d\", nonce=\"x\", Basic realm=\"b\""],
                Some("b"),
            ),
            (
                &["Negotiate, Basic realm=\"b\", Digest realm=\"d\""],
                Some("b"),
            ),
            (&["NTLM TlRMTVNTUAAB==,Basic realm=b"], Some("b")),
            (&["Negotiate", "NTLM", "Basic realm=\"b\""], Some("b")),
            (&[", ,Basic realm=\"b\""], Some("b")),
            (&["Basic realm=\"unfinished"], Some("unfinished")),
            (&["Basic realm=\"b\"", "realm=\"of none\""], Some("b")),
            (&["Bearer realm=\"Basic realm=x, Basic\""], None),
            (&["Basically realm=\"b\""], None),
            (&["basic=\"x\""], None),
            (&["\"Basic\""], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(basic_realm(&headers(lines)).as_deref(), realm, "{lines:?}");
        }
    }

    #[test]
    fn dialogs_are_opened_for_the_schemes_that_browsers_speak() {
        for (line, opens) in [
            ("Basic realm=a", true),
            ("Digest realm=a", true),
            ("Bearer realm=a, Negotiate", true),
            ("NTLM", true),
            ("Bearer realm=\"Basic\"", false),
            ("Cookie", false),
        ] {
            assert_eq!(opens_dialog(&headers(&[line])), opens, "{line}");
        }
    }

    proptest! {
        #[test]
        fn reading_is_total_and_shows_no_more_than_its_limit(line in "[ -~]{0,400}") {
            let realm = basic_realm(&headers(&[&line]));
            prop_assert!(realm.is_none_or(|realm| realm.chars().count() <= MAX_REALM));
        }
    }
}

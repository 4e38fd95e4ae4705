//! JSON of which some strings are replaced, and all else stays byte for byte.
//!
//! In: a whole text of JSON and a rule that is asked about every string: where it stands and what it says. Out: the
//! text with those strings replaced for which the rule had another, or nothing if it is no JSON or would grow by more
//! than [`MAX_GROWTH`].

use serde::de::IgnoredAny;

use super::steps::MAX_GROWTH;

/// Nothing lies deeper than this.
const DEEPEST: usize = 64;

/// Where a string stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonRole {
    Key,
    Value,
}

/// Says what a string becomes; `None`: it stays. Gets the keys on the way to it, with an empty one for each list.
pub(super) type Rule<'r> = dyn Fn(&[String], JsonRole, &str) -> Option<String> + 'r;

/// Replaces strings.
pub(super) fn replaced(text: &[u8], rule: &Rule<'_>) -> Option<Vec<u8>> {
    // What is JSON for sure can be walked over without looking for mistakes.
    let whole = std::str::from_utf8(text).ok()?;
    serde_json::from_str::<IgnoredAny>(whole).ok()?;
    let mut result = Vec::with_capacity(text.len() + 64);
    let mut path: Vec<String> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            // A bound on strangers' input: the path to a string is kept as a list.
            b'{' | b'[' if path.len() == DEEPEST => return None,
            b'{' | b'[' => path.push(String::new()),
            b'}' | b']' => {
                path.pop();
            }
            b'"' => {
                let end = at + string_length(&text[at..]);
                let literal = &whole[at..end];
                // Read by a parser, as a string may be written with escapes.
                let string: String = serde_json::from_str(literal).ok()?;
                let is_key = text[end..]
                    .iter()
                    .find(|byte| !byte.is_ascii_whitespace())
                    .is_some_and(|byte| *byte == b':');
                let response = if is_key {
                    let above = path.len() - 1;
                    let response = rule(&path[..above], JsonRole::Key, &string);
                    path[above] = string;
                    response
                } else {
                    rule(&path, JsonRole::Value, &string)
                };
                match response {
                    Some(now) => result.extend_from_slice(&literal_of(&now)?),
                    None => result.extend_from_slice(literal.as_bytes()),
                }
                // Checked as it grows, so that a text of nothing but links stops in time.
                if result.len() > end + MAX_GROWTH {
                    return None;
                }
                at = end;
                continue;
            }
            _ => {}
        }
        result.push(text[at]);
        at += 1;
    }
    Some(result)
}

/// A string as JSON that may stand in a `<script>`.
fn literal_of(string: &str) -> Option<Vec<u8>> {
    let literal = serde_json::to_string(string).ok()?;
    // `</script>` within a string would end the element.
    Some(literal.replace('<', "\\u003c").into_bytes())
}

/// The length of the string that a text begins with, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != b'"' {
        at += 1 + usize::from(text[at] == b'\\');
    }
    (at + 1).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_sees_every_string_and_where_it_stands() {
        let seen = std::cell::RefCell::new(Vec::new());
        let text = r#"{"a": ["x", {"b\"": "y"}], "c": 1, "d": "z"}"#;
        let same = replaced(text.as_bytes(), &|path, role, string| {
            let said = format!("{} {role:?} {string}", path.join("/"));
            seen.borrow_mut().push(said);
            None
        });
        assert_eq!(same.as_deref(), Some(text.as_bytes()));
        assert_eq!(
            seen.into_inner(),
            [
                " Key a",
                "a/ Value x",
                "a/ Key b\"",
                "a//b\" Value y",
                " Key c",
                " Key d",
                "d Value z"
            ]
        );
    }

    #[test]
    fn only_what_the_rule_replaces_changes() {
        let text = "{ \"a\" :\t\"\\u002fx\" , \"é\":[ 1.50 ]}";
        let now = replaced(text.as_bytes(), &|_, _, string| {
            (string == "/x").then(|| "\"é".to_owned())
        });
        let now = String::from_utf8(now.unwrap()).unwrap();
        assert_eq!(now, "{ \"a\" :\t\"\\\"é\" , \"é\":[ 1.50 ]}");
    }

    #[test]
    fn what_is_put_in_does_not_close_a_script() {
        let now = replaced(b"\"x\"", &|_, _, _| Some("</script>".into())).unwrap();
        assert_eq!(now, b"\"\\u003c/script>\"");
    }

    #[test]
    fn what_is_no_json_is_not_touched() {
        for text in ["", "{", "{\"a\" \"/x\"}", "<html>", "\"a", "\"\\\"", "[1,]"] {
            assert_eq!(replaced(text.as_bytes(), &|_, _, _| None), None, "{text}");
        }
        assert_eq!(replaced(b"\"\xff\"", &|_, _, _| None), None);
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert_eq!(replaced(deep.as_bytes(), &|_, _, _| None), None);
    }
}

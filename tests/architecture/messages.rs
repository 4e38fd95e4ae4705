//! The messages that the documents quote are messages of the product.
//!
//! In: tables whose head is "| message |". The first cell of a row quotes one or more messages as code; `…` stands for
//! a name, a number or another text. Refused: a row without a quote, and a quote that is in no string of the product.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PAGES: [&str; 2] = ["docs/troubleshooting.md", "docs/local.md"];

/// The code in the first cell of every row of such tables, a list for each row.
fn quoted(page: &str) -> Vec<Vec<&str>> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        inside = line.starts_with("| message |") || inside && line.starts_with('|');
        if inside && !line.starts_with("| message |") && !line.starts_with("|---") {
            let cell = line[1..].split(" | ").next().unwrap();
            rows.push(cell.split('`').skip(1).step_by(2).collect());
        }
    }
    rows
}

/// A text with one sign for everything that differs from time to time: `"…"` and `…` are the same, as a name may be
/// quoted.
fn generalized(text: &str) -> String {
    text.replace("\"…\"", "…")
        .trim_matches(['…', ' ', ':'])
        .to_owned()
}

/// The strings of a Rust source, with `…` for each `{}` of theirs. Raw strings are skipped: no message is one.
fn strings(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let (before, from) = rest.split_at(at);
        let length = match from {
            _ if from.starts_with("//") => from.find('\n'),
            _ if from.starts_with("'\"'") => Some(3),
            _ if from.starts_with("'\\\"'") => Some(4),
            _ if from.starts_with('"') && before.ends_with("r#") => end(from, "\"#"),
            _ if from.starts_with('"') && before.ends_with('r') => end(from, "\""),
            _ if from.starts_with('"') => {
                let length = end_of_string(from);
                found.extend(length.map(|length| unescaped(&from[1..length - 1])));
                length
            }
            _ => Some(1),
        };
        rest = &from[length.unwrap_or(from.len())..];
    }
    found
}

/// How long a text is that begins with a quote, up to and with what ends it.
fn end(from: &str, closing: &str) -> Option<usize> {
    let at = from[1..].find(closing)?;
    Some(1 + at + closing.len())
}

fn end_of_string(from: &str) -> Option<usize> {
    let mut escaped = false;
    let at = from[1..].find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some(at + 2)
}

fn unescaped(literal: &str) -> String {
    let mut text = String::new();
    let mut characters = literal.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('\\', Some('\n')) => while characters.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some(_)) => text.extend(characters.next()),
            ('{' | '}', Some(next)) if *next == character => text.extend(characters.next()),
            ('{', _) => {
                let _name = characters.by_ref().take_while(|c| *c != '}').count();
                text.push('…');
            }
            _ => text.push(character),
        }
    }
    text
}

/// Every string of the product, tests not counted.
fn strings_of_the_product() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "tests" && name != "fuzz" {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                let text = fs::read_to_string(&path).unwrap();
                let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                found.extend(strings(product).iter().map(|text| generalized(text)));
            }
        }
    }
    found
}

#[test]
fn every_message_that_a_document_quotes_is_in_the_source() {
    let strings = strings_of_the_product();
    let is_said = |quote: &str| {
        strings
            .iter()
            .any(|text| text.contains(&generalized(quote)))
    };
    let mut wrong = Vec::new();
    for name in PAGES {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let page = fs::read_to_string(page).unwrap();
        let rows = quoted(&page);
        assert!(
            rows.len() > 4,
            "{name} has a table with the head | message |"
        );
        for row in rows {
            let missing = row.iter().filter(|quote| !is_said(quote));
            wrong.extend(missing.map(|quote| format!("{name} quotes {quote:?}")));
            if row.is_empty() {
                wrong.push(format!("{name} has a row that quotes nothing as `code`"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "no string below src/ has this text (… stands for what differs): {wrong:#?}"
    );
}

#[test]
fn a_message_that_is_not_in_the_source_would_be_seen() {
    let page = "| other |\n|---|\n| `not this` |\n\n| message | means |\n|---|---|\n| `a …` or `b` (404) | `c` |\n| d | e |\n";
    assert_eq!(quoted(page), [vec!["a …", "b"], vec![]]);
    let source = "let a = '\"'; // \"comment\"\nf(\"no port {port:?}{} of \\\"web\\\"\", x / y, \"{{a}} in \\\n    two lines\");";
    assert_eq!(
        strings(source),
        ["no port …… of \"web\"", "{a} in two lines"]
    );
    assert_eq!(generalized("service \"…\" has: …"), "service … has");
}

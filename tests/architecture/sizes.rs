//! How long a file and a function may be, how wide a comment, and what a file begins with.
//!
//! Counted are all lines of a file, with its tests. Of a function those from `fn` to its last brace, but for comments:
//! nobody is to leave out why, so that a function stays short enough.

use super::sources::{project, sources};
use super::tokens::{closing, tokens};

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 60;
const MAX_COLUMNS: usize = 120;

/// The functions of a text that have a body, with their lines.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        if pair[0].text != "fn" || !pair[1].is_name() {
            continue;
        }
        let mut next = at + 2;
        while !matches!(tokens[next].text, "{" | ";") {
            next = match tokens[next].text {
                "(" | "[" => closing(&tokens, next) + 1,
                _ => next + 1,
            };
        }
        if tokens[next].text == "{" {
            let last = tokens[closing(&tokens, next)].line;
            let lines = text.lines().skip(pair[0].line - 1);
            let lines = lines.take(last - pair[0].line + 1);
            let count = lines.filter(|line| !line.trim_start().starts_with("//"));
            found.push((pair[1].text, count.count()));
        }
    }
    found
}

/// The files that have too many lines.
fn too_long(files: &[(String, String)]) -> Vec<&str> {
    let long = files
        .iter()
        .filter(|(_, text)| text.lines().count() > MAX_FILE_LINES);
    long.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn no_file_has_more_than_400_lines() {
    let files = project();
    let long = too_long(&files);
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn no_function_has_more_than_60_lines() {
    let mut long = Vec::new();
    for (file, text) in project() {
        let functions = functions(&text).into_iter();
        let of_this = functions.filter(|(_, lines)| *lines > MAX_FUNCTION_LINES);
        long.extend(of_this.map(|(name, lines)| format!("{file}: {name} has {lines} lines")));
    }
    assert!(long.is_empty(), "{long:#?}");
}

/// Comments that are too wide, with their line; a row of a table can't be parted.
fn too_wide(text: &str) -> Vec<usize> {
    let lines = text.lines().enumerate();
    let wide = lines.filter(|(_, line)| {
        let words = line.trim_start().strip_prefix("//");
        let words = words.map(|words| words.trim_start_matches(['/', '!', ' ']));
        words.is_some_and(|words| !words.starts_with('|')) && line.chars().count() > MAX_COLUMNS
    });
    wide.map(|(at, _)| at + 1).collect()
}

#[test]
fn comments_are_at_most_120_columns_wide() {
    let mut wide = Vec::new();
    for (file, text) in project() {
        wide.extend(too_wide(&text).iter().map(|line| format!("{file}:{line}")));
    }
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn every_file_of_the_product_begins_with_a_front_page() {
    for source in sources() {
        let name = source.name();
        assert!(source.text.starts_with("//!"), "{name} has no front page");
    }
}

#[test]
fn functions_are_measured_from_their_name_to_their_last_brace() {
    let text = "trait A { fn none(x: [u8; 2]); }\n/// B.\nfn b(\n  x: [u8; 3],\n) -> C {\n  // Why.\n\n  \"}\"; // }\n  fn inner() {}\n}\n";
    assert_eq!(functions(text), [("b", 7), ("inner", 1)]);
}

#[test]
fn a_wide_comment_is_found_and_a_wide_row_of_a_table_is_not() {
    let line =
        |begin: &str, length: usize| format!("{begin}{}\n", "x".repeat(length - begin.len()));
    let fits = [
        line("//! ", 120),
        line("    /// | ", 200),
        line("let a = ", 200),
    ];
    assert_eq!(too_wide(&fits.concat()), []);
    let wide = [line("    // ", 121), line("//! ", 120), line("/// ", 121)];
    assert_eq!(too_wide(&wide.concat()), [1, 3]);
}

#[test]
fn a_file_of_401_lines_would_be_seen() {
    let file = |name: &str, lines| (name.to_owned(), "//\n".repeat(lines));
    let files = [file("a.rs", 400), file("b.rs", 401)];
    assert_eq!(too_long(&files), ["b.rs"]);
}

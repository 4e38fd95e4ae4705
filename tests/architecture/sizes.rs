//! How long a file may be, and what it begins with. Counted are all lines of a file, with its tests.

use super::sources::{project, sources};

const MAX_FILE_LINES: usize = 400;

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
fn every_file_of_the_product_begins_with_a_front_page() {
    for source in sources() {
        let name = source.name();
        assert!(source.text.starts_with("//!"), "{name} has no front page");
    }
}

#[test]
fn a_file_of_401_lines_would_be_seen() {
    let file = |name: &str, lines| (name.to_owned(), "//\n".repeat(lines));
    let files = [file("a.rs", 400), file("b.rs", 401)];
    assert_eq!(too_long(&files), ["b.rs"]);
}

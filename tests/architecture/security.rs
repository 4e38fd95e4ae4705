//! The page on security names tests: each of them exists, where the page says.

use std::fs;
use std::path::Path;

use super::sources::project;

/// The tests that a table's last column names: what is written like `place::name`, its name of three words at least.
fn tests_named_in(document: &str) -> Vec<(Option<&str>, &str)> {
    let of_a_path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':';
    document
        .lines()
        .filter_map(|line| {
            line.strip_prefix('|')?
                .strip_suffix('|')?
                .rsplit(" | ")
                .next()
        })
        .flat_map(move |column| column.split(move |c| !of_a_path(c)))
        .filter_map(|path| {
            let mut parts = path.rsplit("::");
            let name = parts.next().filter(|name| name.matches('_').count() >= 2)?;
            let module = parts.find(|part| !part.is_empty() && *part != "tests");
            Some((module, name))
        })
        .collect()
}

#[test]
fn every_test_that_the_page_on_security_names_exists() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let page = fs::read_to_string(page).unwrap();
    let (files, named) = (project(), tests_named_in(&page));
    assert!(named.len() > 100, "the tables were not found");
    let is_there = |module: Option<&str>, name: &str| {
        let definition = format!("fn {name}(");
        let is_module = |file: &str| {
            let mut parts = file.split(['/', '.']);
            module.is_none_or(|module| parts.any(|part| part == module))
        };
        files
            .iter()
            .any(|(file, text)| is_module(file) && text.contains(&definition))
    };
    let missing: Vec<_> = named
        .into_iter()
        .filter(|(module, name)| !is_there(*module, name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn a_test_that_is_named_and_missing_would_be_seen() {
    let table = "| attack | here | `code::not_a_test_of_mine` | control plane `a::tests::one_two_three`, ::four_five_six; no_name |";
    assert_eq!(
        tests_named_in(table),
        [(Some("a"), "one_two_three"), (None, "four_five_six")]
    );
}

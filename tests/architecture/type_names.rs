//! A type has a name of its own: nobody has to ask which of two is meant.
//!
//! Read are `struct`, `enum`, `union` and `trait` of the product. A name that is one idea in two places which can't
//! know each other is on the list, with the reason.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::sources;
use super::tokens::tokens;

/// Names that two files may define, and why.
const ON_BOTH_SIDES: [(&str, &str); 2] = [
    (
        "ClientKind",
        "each of the two programs has its own, and they know nothing of each other",
    ),
    ("ObjectKey", "the same, for an object's namespace and name"),
];

/// The types that a text defines.
fn defined(text: &str) -> Vec<&str> {
    let tokens = tokens(text);
    let is_definition = |word: &str| ["struct", "enum", "union", "trait"].contains(&word);
    tokens
        .windows(2)
        .filter(|pair| is_definition(pair[0].text) && pair[1].is_name())
        .map(|pair| pair[1].text)
        .collect()
}

/// Names that several of these files define, with the files.
fn shared<'a>(
    files: impl Iterator<Item = (String, &'a str)>,
) -> BTreeMap<&'a str, BTreeSet<String>> {
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in files {
        for name in defined(text) {
            found.entry(name).or_default().insert(file.clone());
        }
    }
    found.retain(|_, files| files.len() > 1);
    found
}

#[test]
fn a_type_name_stands_in_one_file_of_the_product() {
    let sources = sources();
    let files = sources
        .iter()
        .map(|source| (source.name(), &*source.product));
    let mut shared = shared(files);
    for (name, _) in ON_BOTH_SIDES {
        assert!(
            shared.remove(name).is_some(),
            "{name} needs no line in the list"
        );
    }
    assert!(shared.is_empty(), "{shared:#?}");
}

#[test]
fn a_name_of_two_files_would_be_seen() {
    let files = [
        ("a.rs", "struct Open;\npub(super) enum Kind { Closed }"),
        (
            "b.rs",
            "// struct Kind\nstruct Closed<T>(T);\npub trait Open {}",
        ),
    ];
    let shared = shared(
        files
            .into_iter()
            .map(|(file, text)| (file.to_owned(), text)),
    );
    assert_eq!(shared.into_keys().collect::<Vec<_>>(), ["Open"]);
}

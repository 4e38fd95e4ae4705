//! No identifier has a word of the dialect that this program was once written in: each thing has the name that
//! Kubernetes, HTTP and Envoy give it.
//!
//! Identifiers are read word by word, `snake_case` and `CamelCase`; comments and texts are not. Names of tests are
//! sentences, so only the noun that HTTP calls a response is held there.

use std::collections::BTreeSet;

use super::sources::project;
use super::tokens::{Token, closing, tokens};

/// A word, or words in a row, and what is said instead.
const OLD_WORDS: [(&str, &str); 37] = [
    ("answer", "response"),
    ("answers", "responses"),
    ("audience", "viewers"),
    ("book", "store"),
    ("complaint", "warning, error"),
    ("complaints", "warnings, errors"),
    ("door", "listener scope"),
    ("errand", "outgoing"),
    ("hop", "redirect"),
    ("ingredients", "options"),
    ("journey", "request context"),
    ("judge", "verify, check"),
    ("judgement", "verification"),
    ("keeper", "controller"),
    ("knock", "refresh"),
    ("knocked", "refreshed"),
    ("news", "event"),
    ("occasion", "response context"),
    ("place", "slot, position"),
    ("places", "slots, positions"),
    ("pulse", "probe"),
    ("road", "pipeline"),
    ("seen as", "external URL"),
    ("shelf", "object store"),
    ("situation", "response context"),
    ("sought", "key"),
    ("spelling", "header case"),
    ("surroundings", "environment"),
    ("telling", "redirect mode"),
    ("told", "received, reported"),
    ("trail", "redirect chain"),
    ("travel", "handle"),
    ("trouble", "cluster error"),
    ("unanswered", "API server error"),
    ("verdict", "cached verification"),
    ("way", "proxy mode"),
    ("ways", "proxy modes"),
];

/// Identifiers that others chose, or that mean the word itself.
const ALLOWED: [(&str, &str); 6] = [
    ("audience", "of a TokenReview"),
    ("hop_by_hop", "RFC 9110's word"),
    ("is_hop_by_hop", "the same"),
    ("last_hop", "of X-Forwarded-For"),
    ("open_in_place", "of aws-lc-rs"),
    ("seal_in_place_append_tag", "of aws-lc-rs"),
];

/// What a sealed cookie is called there; elsewhere sealing sounds like encryption where there is none.
const SEALING: &str = "src/serve/app_login/";

/// The words of an identifier, in lower case.
fn words(identifier: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = '_';
    for one in identifier.chars() {
        let begins = before == '_' || (one.is_ascii_uppercase() && !before.is_ascii_uppercase());
        match words.last_mut() {
            _ if one == '_' => {}
            Some(word) if !begins => word.push(one.to_ascii_lowercase()),
            _ => words.push(one.to_ascii_lowercase().to_string()),
        }
        before = one;
    }
    words
}

/// Which old word an identifier of a file has.
fn old_word(file: &str, identifier: &str) -> Option<&'static str> {
    let words = words(identifier);
    let has = |old: &str| {
        let old: Vec<&str> = old.split(' ').collect();
        words.windows(old.len()).any(|row| row == old)
    };
    if ALLOWED.iter().any(|(allowed, _)| *allowed == identifier) {
        return None;
    }
    let mut seals = ["seal", "sealed"]
        .into_iter()
        .filter(|_| !file.starts_with(SEALING));
    let mut all = OLD_WORDS.into_iter().map(|(old, _)| old);
    all.find(|old| has(old))
        .or_else(|| seals.find(|old| has(old)))
}

/// The tokens that name the tests of a file.
fn names_of_tests(tokens: &[Token<'_>]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let begins = |at: usize| {
        tokens[at].text == "#" && tokens.get(at + 1).is_some_and(|next| next.text == "[")
    };
    for at in (0..tokens.len()).filter(|at| begins(*at)) {
        let mut next = closing(tokens, at + 1) + 1;
        let path = tokens[at + 2..next]
            .iter()
            .take_while(|token| matches!(token.text, ":") || token.is_name());
        if path.last().is_none_or(|last| last.text != "test") {
            continue;
        }
        while next < tokens.len() && tokens[next].text != "fn" {
            next = if begins(next) {
                closing(tokens, next + 1)
            } else {
                next
            } + 1;
        }
        found.insert(next + 1);
    }
    found
}

/// What is wrong in a text, each with its line.
fn wrong(file: &str, text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let tests = names_of_tests(&tokens);
    let names = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.is_name());
    names
        .filter_map(|(at, token)| {
            let old = old_word(file, token.text)?;
            let counts = !tests.contains(&at) || old.starts_with("answer");
            counts.then(|| format!("{file}:{}: {} has the word {old:?}", token.line, token.text))
        })
        .collect()
}

#[test]
fn no_identifier_has_a_word_of_the_old_dialect() {
    let files = project().into_iter();
    let wrong: Vec<_> = files.flat_map(|(file, text)| wrong(&file, &text)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{OLD_WORDS:#?}");
}

#[test]
fn old_words_are_seen_in_identifiers_and_nowhere_else() {
    let text = "// the answer\nfn a(answer_kind: KnockKnock) { hop_by_hop(\"answer\", no_pulse, SEEN_AS, notebook, HttpRoad) }\n\
                #[tokio::test]\n#[ignore]\nasync fn the_road_is_told() {}\n#[test]\nfn an_answer_comes() {}\nfn sealed() {}";
    let found: Vec<_> = wrong("a.rs", text)
        .into_iter()
        .map(|line| line.split(' ').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(
        found,
        [
            "answer_kind",
            "KnockKnock",
            "no_pulse",
            "SEEN_AS",
            "HttpRoad",
            "an_answer_comes",
            "sealed"
        ]
    );
    assert_eq!(wrong("src/serve/app_login/a.rs", "fn sealed() {}"), [""; 0]);
}

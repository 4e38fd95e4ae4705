//! No circle of files: what one file of the product names of another leads, by any chain, not back to it.
//!
//! A file names another by a path to one of its items or modules: from `crate`, `self` or `super`, from a child module,
//! or from a name that it has by `use`. A name that a file only hands on with `pub use` counts for the file that
//! defines it, so a `mod.rs` that declares and re-exports is no corner of a circle; one that has an item which its
//! children use, and calls them, is. Tests don't count. Not seen are methods: a type whose `impl` stands in several
//! files is one thing in several files.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{Source, sources};
use super::tokens::{Token, closing, tokens};

/// Circles that stand, each by its files.
const STANDING: [&[&str]; 1] = [
    // A page holds pages: documents in `srcdoc` and markup in `noscript`.
    &["serve/html/page/mod.rs", "serve/html/page/splice/mod.rs"],
];

type Module = Vec<String>;

/// What a file says: which names it has by `use`, and which paths it writes besides.
struct File {
    name: String,
    used: BTreeMap<String, Module>,
    paths: BTreeSet<Module>,
}

type Files = BTreeMap<Module, File>;

fn files(sources: &[Source]) -> Files {
    let product = sources.iter().filter(|source| !source.product.is_empty());
    product
        .map(|source| {
            let tokens = without_tests(&tokens(&source.product));
            let (used, paths) = names(&tokens);
            let name = source.name();
            (source.module.clone(), File { name, used, paths })
        })
        .collect()
}

/// Without what follows `#[cfg(test)]`.
fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let texts: Vec<_> = tokens[at..]
            .iter()
            .take(7)
            .map(|token| token.text)
            .collect();
        if texts != ["#", "[", "cfg", "(", "test", ")", "]"] {
            kept.push(tokens[at]);
            at += 1;
            continue;
        }
        at += 7;
        while !matches!(tokens[at].text, "{" | ";") {
            at += 1;
        }
        at = closing(tokens, at) + 1;
    }
    kept
}

/// The names that a text has by `use`, and the paths of two names and more that it writes elsewhere.
fn names(tokens: &[Token<'_>]) -> (BTreeMap<String, Module>, BTreeSet<Module>) {
    let (mut used, mut paths) = (BTreeMap::new(), BTreeSet::new());
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].text {
            "use" => at = use_tree(tokens, at + 1, &[], &mut used),
            // `pub(in path)` says who may see, and names nothing.
            "in" if at > 0 && tokens[at - 1].text == "(" => at = closing(tokens, at - 1),
            _ if tokens[at].is_name() => {
                let (path, next) = path(tokens, at);
                if path.len() > 1 {
                    paths.insert(path);
                }
                at = next;
            }
            _ => at += 1,
        }
    }
    (used, paths)
}

/// The path that begins at a token, and what stands behind it.
fn path(tokens: &[Token<'_>], mut at: usize) -> (Module, usize) {
    let mut path = vec![tokens[at].text.to_owned()];
    at += 1;
    while at + 2 < tokens.len()
        && (tokens[at].text, tokens[at + 1].text) == (":", ":")
        && tokens[at + 2].is_name()
    {
        path.push(tokens[at + 2].text.to_owned());
        at += 3;
    }
    (path, at)
}

/// Reads `a::b`, `a as b` or `a::{b, c}` below a path, and gives what stands behind it.
fn use_tree(
    tokens: &[Token<'_>],
    mut at: usize,
    above: &[String],
    used: &mut BTreeMap<String, Module>,
) -> usize {
    let mut whole = above.to_vec();
    while at < tokens.len() {
        match tokens[at].text {
            ":" => at += 1,
            "{" => {
                let end = closing(tokens, at);
                at += 1;
                while at < end {
                    at = use_tree(tokens, at, &whole, used) + 1;
                }
                return end + 1;
            }
            "as" => {
                used.insert(tokens[at + 1].text.to_owned(), whole);
                return at + 2;
            }
            _ if tokens[at].is_name() => {
                // `{self}` is the path itself.
                if tokens[at].text != "self" || whole.is_empty() {
                    whole.push(tokens[at].text.to_owned());
                }
                at += 1;
                if !matches!(tokens[at].text, ":" | "as") {
                    let name = whole.last().cloned().unwrap_or_default();
                    used.insert(name, whole);
                    return at;
                }
            }
            _ => return at,
        }
    }
    at
}

/// A path as one from the root; `None` if it is not of this crate.
fn absolute(files: &Files, module: &Module, path: &[String]) -> Option<Module> {
    let mut base = module.clone();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" | "throughway" => return Some(rest[1..].to_vec()),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|first| first == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        first => {
            let child = [module.as_slice(), &[first.to_owned()]].concat();
            if let Some(used) = files[module]
                .used
                .get(first)
                .filter(|used| used[..] != *path)
            {
                let used = absolute(files, module, used)?;
                return Some([&used, &rest[1..]].concat());
            }
            if !files.contains_key(&child) {
                return None;
            }
        }
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// The file that defines what a path from the root names, past all that only hand it on.
fn definer(files: &Files, path: &[String], steps: usize) -> Option<Module> {
    let module = (0..=path.len()).rev().map(|end| &path[..end]);
    let module = module
        .into_iter()
        .find(|module| files.contains_key(*module))?;
    let name = path.get(module.len())?;
    let handed_on = files[module].used.get(name).filter(|_| steps < 8);
    match handed_on {
        Some(used) => {
            let used = absolute(files, &module.to_vec(), used)?;
            definer(
                files,
                &[&used, &path[module.len() + 1..]].concat(),
                steps + 1,
            )
        }
        None => Some(module.to_vec()),
    }
}

/// Which files each file names.
fn edges(files: &Files) -> BTreeMap<&Module, BTreeSet<Module>> {
    let named = |module: &Module, file: &File| {
        let paths = file.used.values().chain(&file.paths);
        paths
            .filter_map(|path| definer(files, &absolute(files, module, path)?, 0))
            .filter(|other| other != module)
            .collect()
    };
    let edges = files.iter();
    edges
        .map(|(module, file)| (module, named(module, file)))
        .collect()
}

/// What the chains lead to that begin at a file.
fn reached<'e>(
    edges: &'e BTreeMap<&Module, BTreeSet<Module>>,
    from: &Module,
) -> BTreeSet<&'e Module> {
    let mut found: BTreeSet<_> = edges[from].iter().collect();
    let mut next: Vec<_> = edges[from].iter().collect();
    while let Some(module) = next.pop() {
        let others = edges[module].iter();
        next.extend(others.filter(|other| found.insert(*other)));
    }
    found
}

/// The circles, each with the names of its files in order.
fn circles(files: &Files) -> BTreeSet<Vec<&str>> {
    let edges = edges(files);
    let reached: BTreeMap<_, _> = files
        .keys()
        .map(|module| (module, reached(&edges, module)))
        .collect();
    let circle = |module| {
        let both = reached[module]
            .iter()
            .filter(|other| reached[**other].contains(module));
        let mut names: Vec<_> = both.map(|other| files[*other].name.as_str()).collect();
        names.sort_unstable();
        names
    };
    let circles = files.keys().map(circle);
    circles.filter(|circle| !circle.is_empty()).collect()
}

#[test]
fn no_file_of_the_product_is_in_a_circle() {
    let files = files(&sources());
    let circles = circles(&files);
    let standing = STANDING.into_iter().map(<[_]>::to_vec).collect();
    assert_eq!(circles, standing);
}

#[test]
fn circles_are_seen_through_braces_aliases_children_and_what_is_handed_on() {
    let circles_of = |texts: &[(&str, &str)]| {
        let sources: Vec<_> = texts
            .iter()
            .map(|(path, text)| super::sources::source((*path).into(), (*text).to_owned()))
            .collect();
        let files = files(&sources);
        circles(&files)
            .into_iter()
            .map(|circle| circle.join(" "))
            .collect::<Vec<_>>()
    };
    let siblings = [
        ("a/mod.rs", "mod b;\nmod c;\npub use b::B;\npub use c::C;"),
        ("a/b.rs", "use super::{C};\npub struct B(C);"),
        (
            "a/c.rs",
            "use crate::a as other;\npub fn c(b: other::B) -> C {}",
        ),
    ];
    assert_eq!(circles_of(&siblings), ["a/b.rs a/c.rs"]);
    let parent = [
        ("a/mod.rs", "mod b;\nfn shared() {}\nfn a() { b::called() }"),
        ("a/b.rs", "pub(in crate::a) fn called() { super::shared() }"),
    ];
    assert_eq!(circles_of(&parent), ["a/b.rs a/mod.rs"]);
    let none = [
        (
            "a/mod.rs",
            "mod b;\nmod c;\npub use b::B;\nfn a() { c::C }\n#[cfg(test)]\nfn x() { c::C }",
        ),
        ("a/b.rs", "pub struct B;\n// super::c::C"),
        (
            "a/c.rs",
            "use super::B;\n#[cfg(test)]\nuse super::a;\npub(in crate::a) struct C(B);",
        ),
    ];
    assert_eq!(circles_of(&none), [""; 0]);
}

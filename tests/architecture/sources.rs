//! The product's source as the tests of the module map read it: each file's own module, and the modules that it
//! imports.
//!
//! Tests inside a file may import what they like, so a file is read up to its tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of `src`.
pub(crate) struct Source {
    /// Below `src`, as in `serve/forward/mod.rs`.
    pub(crate) path: PathBuf,
    /// As in `serve::forward`; empty for `lib.rs`.
    pub(crate) module: Vec<String>,
    /// All of it.
    pub(crate) text: String,
    /// What is above its tests; nothing, where the whole file is one of tests.
    pub(crate) product: String,
}

impl Source {
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The modules and items that its product names, from the root of the crate, as in `["serve", "forward",
    /// "Forward"]`.
    pub(crate) fn imports(&self) -> BTreeSet<Vec<String>> {
        imports(&self.product, &self.module)
    }
}

pub(crate) fn sources() -> Vec<Source> {
    let found: Vec<Source> = rust_below("src")
        .into_iter()
        .map(|(path, text)| source(path, text))
        .collect();
    assert!(found.len() > 100, "the sources were not found");
    found
}

/// Every Rust file of the project, tests included: its path below the repository, and its text.
pub(crate) fn project() -> Vec<(String, String)> {
    ["src", "tests"]
        .into_iter()
        .flat_map(|folder| {
            let files = rust_below(folder).into_iter();
            files.map(move |(path, text)| (format!("{folder}/{}", path.display()), text))
        })
        .collect()
}

/// The Rust files of a folder: their paths below it, and their texts.
fn rust_below(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn source(path: PathBuf, text: String) -> Source {
    let mut module: Vec<String> = path
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if ["mod", "lib"].contains(&&**module.last().unwrap()) {
        module.pop();
    }
    let is_test = |part: &String| ["tests", "fuzz", "effort"].contains(&&**part);
    let end = if module.iter().any(is_test) {
        0
    } else {
        ["mod ", "pub(super) mod ", "pub(crate) mod "]
            .iter()
            .map(|module| format!("#[cfg(test)]\n{module}"))
            .filter_map(|start| text.find(&start))
            .min()
            .unwrap_or(text.len())
    };
    Source {
        product: text[..end].to_owned(),
        module,
        path,
        text,
    }
}

/// What a text of `module` names: by `crate::` and `super::`, or by `throughway::` in the binary, with and without
/// braces.
pub(crate) fn imports(text: &str, module: &[String]) -> BTreeSet<Vec<String>> {
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("::") {
        let before = &code[..at];
        let start = before
            .rfind(|one: char| !is_of_a_name(one))
            .map_or(0, |at| at + 1);
        let is_first = !before[..start].ends_with("::");
        // `pub(in crate::serve)` says who may see.
        if before[..start].ends_with("(in ") {
            continue;
        }
        let base = match &before[start..] {
            "crate" | "throughway" => Vec::new(),
            "self" if is_first => module.to_vec(),
            "super" if is_first => module[..module.len().saturating_sub(1)].to_vec(),
            _ => continue,
        };
        add_paths(&code[at + 2..], &base, &mut found);
    }
    found
}

fn is_of_a_name(one: char) -> bool {
    one.is_ascii_alphanumeric() || one == '_'
}

/// Reads `a::b`, `{a, b::c}` or `*`, and gives what stands behind it.
fn add_paths<'a>(text: &'a str, base: &[String], found: &mut BTreeSet<Vec<String>>) -> &'a str {
    let mut base = base.to_vec();
    let mut rest = text.trim_start();
    loop {
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            while !rest.trim_start().starts_with('}') {
                let behind = add_paths(rest, &base, found);
                // What is no path is passed over a character at a time.
                rest = if behind.len() == rest.len() {
                    rest.get(1..).unwrap_or_default()
                } else {
                    behind
                };
                if rest.is_empty() {
                    return rest;
                }
                rest = rest.trim_start().strip_prefix(',').unwrap_or(rest);
            }
            return &rest.trim_start()[1..];
        }
        let end = rest
            .find(|one: char| !is_of_a_name(one))
            .unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        match name {
            "" => {
                found.insert(base);
                return rest;
            }
            "super" => {
                base.pop();
            }
            "self" => {}
            name => base.push(name.to_owned()),
        }
        match behind.strip_prefix("::") {
            Some(further) => rest = further,
            None => {
                found.insert(base);
                return behind;
            }
        }
    }
}

#[test]
fn imports_are_seen_with_and_without_braces_and_by_super() {
    let text = "use crate::serve::forward::{Forward, io::{self, Io}};\n// crate::proxy\n\
                let x = crate::protocol::status::Y;\nuse super::super::cluster;\nuse super::{a, b::C};\nuse self::d::E;\npub(in crate::serve) fn f() {}";
    let module = ["serve", "api", "mine"].map(str::to_owned);
    let found: Vec<String> = imports(text, &module)
        .into_iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(
        found,
        [
            "protocol::status::Y",
            "serve::api::a",
            "serve::api::b::C",
            "serve::api::mine::d::E",
            "serve::cluster",
            "serve::forward::Forward",
            "serve::forward::io",
            "serve::forward::io::Io",
        ]
    );
}

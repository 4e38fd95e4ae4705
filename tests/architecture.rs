//! The module map, held by a test: who may import whom, how large a file may be, and that each has a front page.
//!
//! Arrows go only to the left along the road, or down to what every stage may use. Tests inside a file may import what
//! they like, so a file is read up to its `#[cfg(test)]`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets something unexpected ends there"
)]
#![allow(dead_code, reason = "not every helper has a user in every test binary")]
#![allow(unreachable_pub, reason = "helpers are shared between test binaries")]
#![allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's tasks, files and connections are not for tests"
)]

#[path = "architecture/limits.rs"]
mod limits;
#[path = "architecture/security.rs"]
mod security;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The road in its order. A stage may import the stages before it.
const ROAD: [&str; 8] = [
    "connection",
    "api",
    "authentication",
    "authorization",
    "target",
    "endpoint",
    "forward",
    "rewrite",
];

/// What every stage may import besides.
const GROUND: [&str; 15] = [
    "observed",
    "causes",
    "fairness",
    "envelope",
    "hop_by_hop",
    "forwarded_for",
    "host",
    "fetch_metadata",
    "html_text",
    "cluster",
    "certificates",
    "config",
    "telemetry",
    "lifecycle",
    "status",
];

/// No file of the product has more lines than this, tests not counted.
const MOST_LINES: usize = 500;

fn allowed(module: &str) -> Vec<&'static str> {
    if let Some(place) = ROAD.iter().position(|stage| *stage == module) {
        return ROAD[..place].iter().chain(&GROUND).copied().collect();
    }
    match module {
        "main" => vec![
            "causes",
            "config",
            "telemetry",
            "server",
            "lifecycle",
            "local",
        ],
        "local" => vec![
            "causes",
            "config",
            "lifecycle",
            "status",
            "envelope",
            "hop_by_hop",
            "forwarded_for",
            "host",
            "fetch_metadata",
            "html_text",
        ],
        "server" => ROAD
            .iter()
            .chain(&GROUND)
            .copied()
            .chain(["proxy"])
            .collect(),
        "proxy" => ROAD
            .iter()
            .copied()
            .chain([
                "causes",
                "fairness",
                "forwarded_for",
                "status",
                "telemetry",
                "config",
                "envelope",
            ])
            .collect(),
        "cluster" | "certificates" => vec!["causes", "config", "telemetry", "lifecycle"],
        "lifecycle" => vec!["config"],
        "telemetry" => vec!["config", "fairness"],
        "envelope" => vec!["host"],
        "config" | "status" | "hop_by_hop" | "forwarded_for" | "host" | "fetch_metadata"
        | "html_text" | "causes" | "observed" | "fairness" | "effort" | "fuzz" | "lib" => vec![],
        _ => panic!("{module} is on no line of the module map"),
    }
}

struct Source {
    path: PathBuf,
    module: String,
    product: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(source(&root, path));
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn source(root: &Path, path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).unwrap();
    let first = path
        .strip_prefix(root)
        .unwrap()
        .iter()
        .next()
        .unwrap()
        .to_str()
        .unwrap();
    let module = first.trim_end_matches(".rs").to_owned();
    let is_test =
        path.strip_prefix(root).unwrap().iter().any(|part| {
            part == "tests" || part == "tests.rs" || part == "fuzz" || part == "fuzz.rs"
        });
    let end = if is_test {
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
    }
}

/// The modules of ours that a text names: `crate::x`, or `throughway::x` in the binary.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        for start in ["crate::", "throughway::"] {
            for (at, _) in line.match_indices(start) {
                let rest = &line[at + start.len()..];
                let name = rest
                    .split(|c: char| !(c.is_ascii_lowercase() || c == '_'))
                    .next()
                    .unwrap();
                if !name.is_empty() {
                    found.push(name.to_owned());
                }
            }
        }
    }
    found
}

#[test]
fn arrows_go_down_or_left_along_the_road() {
    let mut wrong = BTreeMap::new();
    for source in sources() {
        let may = allowed(&source.module);
        for import in imports(&source.product) {
            if import != source.module && !may.contains(&import.as_str()) {
                wrong.insert(source.path.clone(), import);
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports against the module map: {wrong:#?}"
    );
}

#[test]
fn every_file_has_a_front_page_and_a_readable_size() {
    for source in sources() {
        let text = fs::read_to_string(&source.path).unwrap();
        assert!(
            text.starts_with("//!"),
            "{} has no front page",
            source.path.display()
        );
        let lines = source.product.lines().count();
        assert!(
            lines <= MOST_LINES,
            "{} has {lines} lines",
            source.path.display()
        );
    }
}

#[test]
fn cluster_and_certificates_do_not_know_each_other() {
    for source in sources() {
        for (module, other) in [("cluster", "certificates"), ("certificates", "cluster")] {
            let knows = imports(&source.product)
                .iter()
                .any(|import| import == other);
            assert!(
                source.module != module || !knows,
                "{}",
                source.path.display()
            );
        }
    }
}

#[test]
fn an_import_against_the_map_would_be_seen() {
    assert_eq!(
        imports("use crate::forward::Forward;\n// crate::proxy\nlet x = crate::status::Y;"),
        ["forward", "status"]
    );
    assert!(!allowed("target").contains(&"forward"));
    assert!(allowed("forward").contains(&"target"));
}

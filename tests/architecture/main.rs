//! The module map, held by a test: who may import whom. Beside it are the rules of single files, names and documents.
//!
//! Arrows go down from the two programs to what both stand on, and inside `serve` to the stages before one's own.

mod circles;
mod documents;
mod limits;
mod messages;
mod security;
mod sizes;
mod sources;
mod tokens;
mod type_names;
mod words;

use std::collections::BTreeSet;

use sources::sources;

/// The stages of `serve` in the order in which a request passes them. A stage may import the stages before it.
const STAGES: [&str; 10] = [
    "serve::connection",
    "serve::api",
    "serve::authentication",
    "serve::authorization",
    "serve::client",
    "serve::app_login",
    "serve::destination",
    "serve::endpoint",
    "serve::forward",
    "serve::response",
];

/// What every stage may import besides.
const BESIDE_THE_STAGES: [&str; 13] = [
    "serve::html",
    "serve::redirect_page",
    "serve::refusal",
    "serve::request_context",
    "serve::config",
    "serve::cluster",
    "serve::certificates",
    "serve::fairness",
    "serve::telemetry",
    "protocol",
    "lifecycle",
    "causes",
    "observed",
];

/// What a module may import besides itself.
fn allowed(module: &str) -> Vec<&'static str> {
    if let Some(at) = STAGES.iter().position(|stage| *stage == module) {
        return [&STAGES[..at], &BESIDE_THE_STAGES].concat();
    }
    match module {
        "local::config" => vec!["protocol"],
        "main" => vec!["cli", "serve", "local", "lifecycle", "causes"],
        "local" => vec!["local::config", "protocol", "lifecycle", "causes"],
        "serve::in_flight" => vec![
            "serve::authentication",
            "serve::fairness",
            "serve::refusal",
            "serve::request_context",
            "protocol",
        ],
        "serve::pipeline" => [&STAGES[..], &BESIDE_THE_STAGES, &["serve::in_flight"]].concat(),
        "serve::router" => [&STAGES[..], &BESIDE_THE_STAGES, &["serve::pipeline"]].concat(),
        "serve::metrics" => [&STAGES[..], &BESIDE_THE_STAGES, &["serve::router"]].concat(),
        "serve::server" => {
            let above = ["serve::in_flight", "serve::pipeline", "serve::router"];
            [&STAGES[..], &BESIDE_THE_STAGES, &above].concat()
        }
        "serve::cluster" => vec!["serve::config", "protocol", "lifecycle", "causes"],
        "serve::certificates" => vec!["serve::config", "lifecycle"],
        "serve::telemetry" => vec!["serve::refusal"],
        "serve::request_context" => vec!["serve::refusal", "serve::fairness", "serve::telemetry"],
        "serve::html" | "serve::redirect_page" | "serve::refusal" => vec!["protocol"],
        "serve::config" => vec!["protocol"],
        "cli" => vec!["serve::config", "local::config", "protocol"],
        "serve" | "serve::fairness" | "lifecycle" | "protocol" | "causes" | "observed" | "lib"
        | "effort" | "fuzz" => vec![],
        _ => panic!("{module} is on no line of the module map"),
    }
}

/// The line of the map that a path belongs to: the program or folder, and the stage where it is one of `serve`.
fn line_of(path: &[String]) -> String {
    match path {
        [] => "lib".to_owned(),
        [serve, stage, ..] if serve == "serve" => format!("serve::{stage}"),
        // The command line makes it, and knows nothing else of the program.
        [local, config, ..] if local == "local" && config == "config" => "local::config".to_owned(),
        [first, ..] => first.clone(),
    }
}

#[test]
fn imports_go_down_or_to_the_stages_before() {
    let mut wrong = BTreeSet::new();
    for source in sources() {
        let module = line_of(&source.module);
        let may = allowed(&module);
        for import in source.imports() {
            let line = line_of(&import);
            let is_allowed = may
                .iter()
                .any(|may| line == *may || line.starts_with(&format!("{may}::")));
            if line != module && line != "lib" && !is_allowed {
                wrong.insert(format!("{} imports {line}", source.name()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports against the module map: {wrong:#?}"
    );
}

/// The stages that the drawing in a front page names, in its order.
fn drawn(page: &str) -> Vec<String> {
    let drawing = page.lines().find(|line| line.contains(" → api → "));
    let stages = drawing.unwrap_or_default().trim_start_matches("//!");
    let stages = stages.split("→").map(str::trim);
    stages.map(|stage| format!("serve::{stage}")).collect()
}

#[test]
fn the_drawings_have_the_stages_of_the_map() {
    let pages: Vec<_> = sources()
        .into_iter()
        .filter(|source| ["lib.rs", "serve/mod.rs"].contains(&&*source.name()))
        .collect();
    assert_eq!(pages.len(), 2);
    for page in pages {
        assert_eq!(drawn(&page.text), STAGES, "{}", page.name());
    }
}

#[test]
fn a_drawing_of_other_stages_would_be_seen() {
    let page = "//! A.\n//!   connection → api → forward\n";
    assert_eq!(
        drawn(page),
        ["serve::connection", "serve::api", "serve::forward"]
    );
}

#[test]
fn an_import_against_the_map_would_be_seen() {
    assert!(!allowed("serve::destination").contains(&"serve::forward"));
    assert!(allowed("serve::forward").contains(&"serve::destination"));
    assert!(!allowed("local").contains(&"serve"));
    assert!(!allowed("serve::html").contains(&"serve::api"));
    assert!(!allowed("serve::cluster").contains(&"serve::certificates"));
}

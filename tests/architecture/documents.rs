//! The documents: how wide their lines are, and that their links lead somewhere.
//!
//! In: every Markdown file at the top, in `docs/`, `certs/` and `tests/`. Refused: a line above 120 columns that is no
//! row of a table, a relative link to a file or heading that does not exist, a README without the command that CI runs.

use std::fs;
use std::path::{Path, PathBuf};

const MAX_COLUMNS: usize = 120;

/// A newcomer reads it in a minute.
const MAX_README_LINES: usize = 150;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "certs", "tests/fuzz"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        found.extend(paths.filter(|path| path.extension().is_some_and(|kind| kind == "md")));
    }
    found
}

/// The lines outside code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter(move |(_, line)| {
        is_code ^= line.starts_with("```");
        !is_code
    })
}

/// Where the links of a text lead.
fn links(text: &str) -> Vec<&str> {
    let links = prose(text).flat_map(|(_, line)| line.split("](").skip(1));
    links.filter_map(|rest| rest.split(')').next()).collect()
}

/// The names of a text's headings in links, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter_map(|(_, line)| line.strip_prefix('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

/// What is wrong with a link, if anything is.
fn broken(from: &Path, link: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = match file {
        "" => from.to_owned(),
        file => from.parent().unwrap().join(file),
    };
    if !path.exists() {
        return Some(format!(
            "{} links to {link}, which does not exist",
            from.display()
        ));
    }
    let is_there = anchor.is_empty()
        || anchors(&fs::read_to_string(&path).unwrap()).contains(&anchor.to_owned());
    (!is_there).then(|| format!("{} links to {link}: no such heading", from.display()))
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut wrong = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        wrong.extend(
            links(&text)
                .into_iter()
                .filter_map(|link| broken(&path, link)),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn lines_of_documents_are_at_most_120_columns_wide() {
    let mut wrong = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        let wide = text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.chars().count() > MAX_COLUMNS && !line.starts_with('|'));
        wrong.extend(wide.map(|(number, _)| format!("{}:{}", path.display(), number + 1)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_readme_is_short_and_says_what_ci_runs() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    let command = ci
        .lines()
        .find_map(|line| line.strip_prefix("exec "))
        .unwrap();
    assert!(
        readme.contains(&format!("`{command}`")),
        "the README lacks `{command}`"
    );
    assert!(
        readme.lines().count() <= MAX_README_LINES,
        "move details into docs/"
    );
}

#[test]
fn a_link_that_leads_nowhere_would_be_seen() {
    let text = "# A `b`: c, d\n[x](e.md#f) and [y](#a-b-c-d)\n```\n# no [z](heading)\n```\n";
    assert_eq!(links(text), ["e.md#f", "#a-b-c-d"]);
    assert_eq!(anchors(text), ["a-b-c-d"]);
    let readme = root().join("README.md");
    assert_eq!(broken(&readme, "docs/local.md"), None);
    assert!(broken(&readme, "docs/nothing.md").is_some());
    assert!(broken(&readme, "docs/local.md#no-heading-of-this-name").is_some());
}

/// The files and folders that a text names: all that ends in `.rs`, and what begins with a folder of the repository.
fn paths(text: &str) -> Vec<&str> {
    let of_a_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let names = text.split(move |c| !of_a_path(c));
    let names = names.map(|name| name.trim_end_matches(['.', '/']));
    let is_path = |name: &str| {
        let folders = ["src/", "tests/", "docs/", "manifests/", "certs/"];
        name.ends_with(".rs") || folders.iter().any(|folder| name.starts_with(folder))
    };
    names.filter(|name| is_path(name)).collect()
}

/// Whether it is a path of the repository, or the end of one as in `forward/dial.rs`.
fn exists(name: &str, files: &[PathBuf]) -> bool {
    root().join(name).exists() || files.iter().any(|file| file.ends_with(name))
}

fn rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let list = if path.is_dir() {
                &mut folders
            } else {
                &mut found
            };
            list.push(path);
        }
    }
    found
}

#[test]
fn every_path_that_a_document_names_exists() {
    let files = rust_files();
    let mut wrong = Vec::new();
    // The change log names what there was.
    for page in documents()
        .into_iter()
        .filter(|page| !page.ends_with("CHANGELOG.md"))
    {
        let text = fs::read_to_string(&page).unwrap();
        let missing = paths(&text)
            .into_iter()
            .filter(|name| !exists(name, &files));
        wrong.extend(missing.map(|name| format!("{} names {name}", page.display())));
    }
    for file in files
        .iter()
        .filter(|file| file.starts_with(root().join("src")))
    {
        let text = fs::read_to_string(file).unwrap_or_default();
        let front: String = (text.lines())
            .filter_map(|line| Some(line.strip_prefix("//!")?.to_owned() + "\n"))
            .collect();
        let missing = paths(&front)
            .into_iter()
            .filter(|name| !exists(name, &files));
        wrong.extend(missing.map(|name| format!("{} names {name}", file.display())));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_path_that_is_gone_would_be_seen() {
    let text = "see `src/lib.rs`, (forward/gone.rs) and tests/architecture/; not a.b or x/y";
    assert_eq!(
        paths(text),
        ["src/lib.rs", "forward/gone.rs", "tests/architecture"]
    );
    let files = rust_files();
    let found = paths(text).into_iter().filter(|name| exists(name, &files));
    assert_eq!(
        found.collect::<Vec<_>>(),
        ["src/lib.rs", "tests/architecture"]
    );
}

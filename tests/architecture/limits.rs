//! `docs/limits.md` and the code say the same numbers.
//!
//! In: the rows of its tables. A row names a constant as "`NAME` = VALUE" with its file after it, and a flag as
//! "`--flag` = VALUE". Refused: a constant without a value or a file, a value that the code does not have, a sum that
//! is not the sum of its rows.

use std::fs;
use std::path::Path;

/// Bytes, counts and the like, or milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    Number(u64),
    Milliseconds(u64),
}

/// A constant or a flag that a row names.
#[derive(Debug, PartialEq, Eq)]
struct Claim<'a> {
    name: &'a str,
    value: Option<Quantity>,
    /// The first file that the cell names after it.
    file: Option<&'a str>,
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|failed| panic!("{}: {failed}", path.display()))
}

/// The cells of every row of a text's tables.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix('|'));
    rows.map(|row| row.split('|').map(str::trim).collect())
}

fn claims(cell: &str) -> Vec<Claim<'_>> {
    let parts: Vec<&str> = cell.split('`').collect();
    let code = || (1..parts.len()).step_by(2);
    let named = code().filter(|&at| is_constant(parts[at]) || parts[at].starts_with("--"));
    named
        .map(|at| Claim {
            name: parts[at],
            value: parts.get(at + 1).and_then(|text| value(text)),
            file: code()
                .map(|later| (later, parts[later]))
                .find(|(later, part)| *later > at && part.ends_with(".rs"))
                .map(|(_, part)| part),
        })
        .collect()
}

fn is_constant(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.len() > 2
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(is_part)
}

/// What " = 16 MiB, and more text" says.
fn value(text: &str) -> Option<Quantity> {
    quantity(text.strip_prefix(" = ")?)
}

/// A number, in groups of three digits, and its unit at the begin of a text.
fn quantity(text: &str) -> Option<Quantity> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ' ');
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    let number: u64 = digits.replace(' ', "").parse().ok()?;
    let unit = rest.split(|c: char| !c.is_ascii_alphabetic()).next();
    Some(match unit.unwrap_or_default() {
        "KiB" => Quantity::Number(number << 10),
        "MiB" => Quantity::Number(number << 20),
        "ms" => Quantity::Milliseconds(number),
        "s" => Quantity::Milliseconds(number * 1_000),
        "min" => Quantity::Milliseconds(number * 60_000),
        "h" => Quantity::Milliseconds(number * 3_600_000),
        _ => Quantity::Number(number),
    })
}

/// What a constant of a source text is.
fn constant(source: &str, name: &str) -> Option<Quantity> {
    let (_, rest) = source.split_once(&format!("const {name}: "))?;
    let (_, expression) = rest.split_once(';')?.0.split_once('=')?;
    let expression = expression.trim();
    for (unit, milliseconds) in [("secs", 1_000), ("millis", 1)] {
        let start = format!("Duration::from_{unit}(");
        if let Some(inner) = expression.strip_prefix(&start) {
            let inner = number(inner.strip_suffix(')')?)?;
            return Some(Quantity::Milliseconds(inner * milliseconds));
        }
    }
    number(expression).map(Quantity::Number)
}

/// A product, or one number that is shifted.
fn number(expression: &str) -> Option<u64> {
    if let Some((number_, by)) = expression.split_once("<<") {
        return Some(number(number_)? << number(by)?);
    }
    let factors = expression.split('*');
    factors
        .map(|one| one.trim().replace('_', "").parse::<u64>().ok())
        .product()
}

/// The default of a flag, as clap's attribute on its field says it.
fn default_of(arguments: &str, flag: &str) -> Option<Quantity> {
    let field = format!(
        "pub(super) {}: ",
        flag.trim_start_matches('-').replace('-', "_")
    );
    let (before, _) = arguments.split_once(&field)?;
    let (_, attribute) = before.rsplit_once("default_value_t = ")?;
    number(attribute.split_once(')')?.0).map(Quantity::Number)
}

/// The files below a folder that make a cache, as the limits page names them.
fn caches(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            caches(&path, found);
        } else if fs::read_to_string(&path).is_ok_and(|text| text.contains("Cache::builder()")) {
            let (_, file) = path.to_str().unwrap().rsplit_once("/src/").unwrap();
            found.push(format!("`{file}`"));
        }
    }
}

#[test]
fn every_cache_is_in_the_table_of_caches() {
    let page = read("docs/limits.md");
    let (_, section) = page.split_once("\n## What is cached\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut files = Vec::new();
    caches(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    assert!(files.len() >= 5, "only {files:?} were found");
    files.retain(|file| !section.contains(&**file));
    assert_eq!(files, [""; 0], "they are not in the table");
}

#[test]
fn the_limits_page_has_the_numbers_of_the_code() {
    let (page, arguments) = (read("docs/limits.md"), read("src/cli/serve/args.rs"));
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for claim in rows(&page).flatten().flat_map(claims) {
        let in_code = match claim.file {
            _ if claim.name.starts_with("--") => default_of(&arguments, claim.name),
            Some(file) => constant(&read(&format!("src/{file}")), claim.name),
            None => None,
        };
        compared += 1;
        if claim.value.is_none() || claim.value != in_code {
            wrong.push(format!("{claim:?} is {in_code:?} in the code"));
        }
    }
    assert!(compared > 70, "only {compared} were found");
    assert!(
        wrong.is_empty(),
        "docs/limits.md; a row says \"`NAME` = 16 MiB, `serve/connection/mod.rs`\": {wrong:#?}"
    );
}

#[test]
fn the_sum_of_what_a_replica_holds_is_the_sum_of_its_rows() {
    let page = read("docs/limits.md");
    let (_, table) = page.split_once("| sum | where stated |\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let (mut sum, mut total) = (0, None);
    for row in rows(table).skip(1) {
        match (row[3].strip_prefix("**"), quantity(row[3])) {
            (Some(bold), _) => total = quantity(bold),
            (None, Some(Quantity::Number(bytes))) => sum += bytes,
            (None, other) => panic!("{other:?} in {row:?}"),
        }
    }
    assert_eq!(total, Some(Quantity::Number(sum)));
    assert!(sum < 640 << 20, "the manifests give a replica 640 MiB");
}

#[test]
fn a_number_that_the_code_does_not_have_would_be_seen() {
    let cell = "`MAX_PAGE` = 16 MiB, `LIFETIME` = 1 500 ms, `serve/cluster/a.rs`; `--most` = 5 000 a second, `NONE`";
    let claims = claims(cell);
    let file = Some("serve/cluster/a.rs");
    let of = |name, value, file| Claim { name, value, file };
    assert_eq!(
        claims,
        [
            of("MAX_PAGE", Some(Quantity::Number(16 << 20)), file),
            of("LIFETIME", Some(Quantity::Milliseconds(1_500)), file),
            of("--most", Some(Quantity::Number(5_000)), None),
            of("NONE", None, None),
        ]
    );
    let source = "const MAX_PAGE: usize = 8 * 1024;\nconst LIFETIME: Duration = Duration::from_secs(2 * 60);\n\
        const HUGE: u32 = 1 << 20;\nconst OTHER: usize = some();";
    assert_eq!(constant(source, "MAX_PAGE"), Some(Quantity::Number(8192)));
    let two_minutes = Some(Quantity::Milliseconds(120_000));
    assert_eq!(constant(source, "LIFETIME"), two_minutes);
    assert_eq!(constant(source, "HUGE"), Some(Quantity::Number(1 << 20)));
    assert_eq!(constant(source, "OTHER"), None);
    let arguments = "#[arg(long, default_value_t = 5)]\n    pub(super) most_of: usize,\n    \
        #[arg(long, default_value_t = 1 << 4)]\n    pub(super) most: usize,";
    assert_eq!(default_of(arguments, "--most"), Some(Quantity::Number(16)));
    assert_eq!(
        default_of(arguments, "--most-of"),
        Some(Quantity::Number(5))
    );
}

//! `docs/flags.md`, made from the flags of both programs.
//!
//! In: clap's definitions. Out: one table for each heading of `--help`. The test fails when the page in the repository
//! is another one; `make docs` writes it.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

use super::Cli;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/flags.md");

const FRONT: &str = "\
# Flags

This page is generated from the command line's definition. After a change of a flag run `make docs`.

A wrong setting is reported in one line on standard error, with exit code 64, before any port is opened. Durations are
written like `10s`, `5m` or `1h30m`. Lists are separated by commas.
";

const PROGRAMS: [(&str, &str); 2] = [
    (
        "serve",
        "\
The server in the cluster. Names and defaults are those of k8s.io/apiserver wherever it has the same flag. Annotations
on a Service are in [browser.md](browser.md#per-service).
",
    ),
    (
        "local",
        "\
The companion on your own machine. Names, short forms and defaults are those of `kubectl proxy` and of kubectl's global
flags wherever they have the same flag. [local.md](local.md) explains more.
",
    ),
];

fn page() -> String {
    let mut page = FRONT.to_owned();
    let mut line = Cli::command();
    line.build();
    for (program, about) in PROGRAMS {
        let command = line.find_subcommand(program).unwrap();
        write!(page, "\n## throughway {program}\n\n{about}").unwrap();
        page.push_str(&tables(command));
    }
    page
}

/// The flags under their headings, in the order of `--help`.
fn tables(command: &Command) -> String {
    let mut text = String::new();
    let flags = || {
        command
            .get_arguments()
            .filter(|flag| flag.get_id() != "help")
    };
    let mut headings: Vec<Option<&str>> = flags().map(Arg::get_help_heading).collect();
    let mut listed = std::collections::BTreeSet::new();
    headings.retain(|heading| listed.insert(*heading));
    for heading in headings {
        let name = heading.unwrap_or("Other");
        write!(
            text,
            "\n### {name}\n\n| flag | default | meaning |\n|---|---|---|\n"
        )
        .unwrap();
        for flag in flags().filter(|flag| flag.get_help_heading() == heading) {
            let (default, meaning) = default_and_meaning(flag);
            let meaning = formatted(&meaning);
            writeln!(text, "| {} | {default} | {meaning} |", names(flag)).unwrap();
        }
    }
    text
}

fn names(flag: &Arg) -> String {
    let value = match flag.get_value_names() {
        Some([name, ..]) if takes_value(flag) => format!("={name}"),
        _ => String::new(),
    };
    let value = match flag.get_num_args() {
        Some(number) if number.min_values() == 0 && !value.is_empty() => format!("[{value}]"),
        _ => value,
    };
    let long = format!("`--{}{value}`", flag.get_long().unwrap()).replace('|', "\\|");
    flag.get_short()
        .map_or_else(|| long.clone(), |short| format!("{long}, `-{short}`"))
}

fn takes_value(flag: &Arg) -> bool {
    flag.get_num_args()
        .is_some_and(|number| number.takes_values())
}

/// The default is clap's, or stands as `[default: ...]` in the text where the program finds it out when it starts.
fn default_and_meaning(flag: &Arg) -> (String, String) {
    let text = flag.get_long_help().or_else(|| flag.get_help()).unwrap();
    let text = text.to_string();
    let defaults = flag.get_default_values().iter();
    let defaults: Vec<_> = defaults.filter_map(|value| value.to_str()).collect();
    let (text, default) = match text.split_once("[default: ") {
        Some((before, rest)) => {
            let (default, after) = rest.split_once("]\n").unwrap_or((rest, ""));
            let default = default.strip_suffix(']').unwrap_or(default);
            (
                format!("{}\n{after}", before.trim_end()),
                default.to_owned(),
            )
        }
        None if takes_value(flag) && !defaults.is_empty() => (
            text,
            format!("`{}`", defaults.join(",").replace('|', "\\|")),
        ),
        None => (text, String::new()),
    };
    let mut sentences: Vec<String> = text
        .split("\n\n")
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|part| !part.is_empty())
        .collect();
    if let Some(variable) = flag.get_env().and_then(|name| name.to_str()) {
        sentences.push(format!("The variable `{variable}` sets it too."));
    }
    (default, sentences.join(". ").replace(".. ", ". "))
}

/// Flags as code, and no character that Markdown or a table would read.
fn formatted(text: &str) -> String {
    let word = |word: &str| match word.trim_end_matches([',', ';', '.', ')', '\'']) {
        flag if flag.starts_with("--") => word.replacen(flag, &format!("`{flag}`"), 1),
        _ => word.replace('|', "\\|").replace('*', "\\*"),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_of_flags_is_made_from_the_flags() {
    let page = page();
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    #[allow(
        clippy::disallowed_methods,
        reason = "it is for certificates, and this is a test"
    )]
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    let differing = page.lines().zip(written.lines()).find(|(a, b)| a != b);
    assert!(
        page == written,
        "docs/flags.md is not what the flags say; run make docs. First line that differs: {differing:#?}"
    );
}

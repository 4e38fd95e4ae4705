//! The command line: from words to the configuration of one of the two programs.
//!
//! In: the words as typed. Out: a [`Command`] whose configuration every stage may rely on. Refuses a wrong setting with
//! one line and exit code 64.

mod exit;
#[cfg(test)]
mod flags_page;
mod go_regexp;
mod local;
mod parse;
mod serve;
mod target_name;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

pub use exit::Exit;

use crate::local::config::LocalConfig;
use crate::serve::config::Config;

/// What the command line asks for.
#[derive(Debug, Clone)]
pub enum Command {
    Serve(Box<Config>),
    Local(Box<LocalConfig>),
}

/// The Kubernetes API server's proxy as a server of its own.
#[derive(Debug, Parser)]
#[command(name = "throughway", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Serve the proxy subresources of nodes, pods and services behind the API aggregation layer
    Serve(Box<serve::args::Serve>),
    /// kubectl proxy on your own machine, with an origin of its own for every Service, pod and node
    Local(Box<local::args::Local>),
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Reads and checks a command line; the first word is the program's name.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Command, Exit> {
    let cli = Cli::try_parse_from(as_plugin(words)).map_err(|refused| {
        if refused.use_stderr() {
            Exit::Usage(one_line(&refused))
        } else {
            Exit::Help(refused.to_string())
        }
    })?;
    match cli.mode {
        Mode::Serve(serve) => Ok(Command::Serve(Box::new(serve::check(*serve)?))),
        Mode::Local(local) => Ok(Command::Local(Box::new(local::check(*local)?))),
        Mode::Completion { shell } => Err(Exit::Help(completion(shell))),
    }
}

/// `kubectl throughway …` runs this program by the name kubectl-throughway, and means the companion.
fn as_plugin(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    let is_plugin = words.first().is_some_and(|name| {
        let name = std::path::Path::new(name).file_stem();
        name.is_some_and(|name| name == "kubectl-throughway")
    });
    let has_mode = words
        .get(1)
        .and_then(|word| word.to_str())
        .is_some_and(|word| {
            Cli::command().find_subcommand(word).is_some()
                || matches!(word, "help" | "--version" | "-V")
        });
    if is_plugin && !has_mode {
        words.insert(1, "local".into());
    }
    words
}

fn completion(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "throughway", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// What is wrong, in one line: what clap lists below it (arguments that are missing, values that there are) goes into
/// it.
fn one_line(refused: &clap::Error) -> String {
    if refused.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a command is missing; throughway --help lists them".to_owned();
    }
    let text = refused.to_string();
    let mut lines = text.lines().take_while(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let mut line = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    for (index, listed) in lines.map(str::trim).enumerate() {
        line.push_str(if index == 0 { " " } else { ", " });
        line.push_str(listed);
    }
    line
}

#[cfg(test)]
mod tests;

//! Writing to the terminal. In: a line or a problem. Out: text on standard output or standard error.
//!
//! Refuses: nothing but a standard output that can't be written, as on a full disk.

use std::io::{self, Write as _};

use super::problem::{Advice, Problem};

/// Standard output takes nothing: its disk is full, say.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct NoOutput(#[from] io::Error);

/// Writes a line to standard output. A reader that closed it is no error: it needs no more lines.
pub(super) fn print(line: &str) -> Result<(), NoOutput> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        // As `head -1` does.
        Err(closed) if closed.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes a warning to standard error.
pub(super) fn warn(sentence: &str) {
    eprintln!("warning: {sentence}");
}

/// A problem as text: what happened, and below it what to do. It quotes names of the kubeconfig, so control characters
/// are removed: a terminal would obey them.
pub(super) fn problem_text(problem: &Problem) -> String {
    let mut text = problem.status.message.clone();
    for advice in &problem.advice {
        text.push('\n');
        match advice {
            Advice::Sentence(sentence) => text.push_str(sentence),
            Advice::Command { purpose, line } => text.push_str(&format!("{purpose}\n  {line}")),
            Advice::Link { label, url } => text.push_str(&format!("{label}: {url}")),
        }
    }
    text.retain(|letter| letter == '\n' || !letter.is_control());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::status::Status;

    #[test]
    fn a_name_of_the_kubeconfig_leads_no_terminal_astray() {
        let status = Status::bad_gateway("no context \u{1b}[2J\u{9b}31mprod\u{7}\r");
        let problem = Problem::new(status, "No such context").advise(Advice::Command {
            purpose: "See all".to_owned(),
            line: "kubectl \u{1b}]0;x\u{7}".to_owned(),
        });
        let text = "no context [2J31mprod\nSee all\n  kubectl ]0;x";
        assert_eq!(problem_text(&problem), text);
    }
}

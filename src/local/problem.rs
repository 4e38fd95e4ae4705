//! What keeps a request from its response, told for people: what happened, and what to do.
//!
//! Messages and advice hold no credentials. How a problem is shown is for `pages::problem` and `terminal`.

use crate::protocol::status::Status;

/// Why a request failed, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Code and message as a program gets them.
    pub(super) status: Box<Status>,
    /// A few words, the page's heading.
    pub(super) title: &'static str,
    pub(super) advice: Vec<Advice>,
}

/// One thing to do about a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Advice {
    Sentence(String),
    /// A command to run, after the sentence that says what for.
    Command {
        purpose: String,
        line: String,
    },
    /// Another page of this server, for example a near match.
    Link {
        label: String,
        url: String,
    },
}

impl Problem {
    pub(super) fn new(status: Status, title: &'static str) -> Self {
        Self {
            status: Box::new(status),
            title,
            advice: Vec::new(),
        }
    }

    #[must_use]
    pub(super) fn advise(mut self, advice: Advice) -> Self {
        self.advice.push(advice);
        self
    }
}

/// A word as a shell reads it, for commands that a person copies.
pub(super) fn shell_word(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_a_person_copies_is_one_word_to_the_shell() {
        for (word, written) in [
            ("prod", "prod"),
            ("arn:aws:eks:eu-1:1/a_b", "arn:aws:eks:eu-1:1/a_b"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("`x`;y|z&", "'`x`;y|z&'"),
            ("it's", r"'it'\''s'"),
            ("~root", "'~root'"),
            ("a\nb", "'a\nb'"),
        ] {
            assert_eq!(shell_word(word), written);
        }
    }
}

//! What stands in the way of an answer: a page for a browser that navigates, a Status for everybody else.
//!
//! Messages say what happened, and the advice what to do. Credentials are in neither.

use http::{HeaderMap, HeaderName, Method, header};

use super::start_page;
use crate::protocol::status::{Response, Status};

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Why there is no answer, and what helps.
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

/// Who reads an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A browser that navigates.
    Browser,
    Program,
}

impl Reader {
    /// A browser's navigation says so in `Sec-Fetch-Mode`; where a browser sends none, `Accept` tells it.
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Self {
        if !matches!(*method, Method::GET | Method::HEAD | Method::POST) {
            return Self::Program;
        }
        let is_browser = match headers.get(SEC_FETCH_MODE) {
            Some(mode) => {
                mode == "navigate"
                    && headers
                        .get(SEC_FETCH_DEST)
                        .is_none_or(|dest| dest != "empty")
            }
            None => headers
                .get(header::ACCEPT)
                .and_then(|accept| accept.to_str().ok())
                .is_some_and(|accept| accept.trim_start().starts_with("text/html")),
        };
        if is_browser {
            Self::Browser
        } else {
            Self::Program
        }
    }
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

    /// The answer as its reader understands it.
    pub(super) fn answer(self, reader: Reader) -> Response {
        match reader {
            Reader::Program => self.status.into_response(),
            Reader::Browser => {
                let code = self.status.code;
                let mut response = start_page::html(start_page::problem(&self));
                *response.status_mut() = code;
                response
            }
        }
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

//! How the responses to one request are treated: what the stage of responses decides, as plain values.

use std::sync::Arc;

use http::Method;

use super::budget::Budget;
use super::links::Links;

/// How the responses to one request are treated.
#[derive(Debug, Clone)]
pub(in crate::serve) struct PageTreatment {
    pub method: Method,
    pub sniffing: Sniffing,
    pub links: Links,
    pub injection: Option<Injection>,
    /// What a script begins with, where the response is one.
    pub prologue: Option<&'static str>,
    pub limits: PageLimits,
    pub budget: Arc<Budget>,
}

/// Whether a body of `text/html` may turn out to be something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum Sniffing {
    /// It goes to a browser that navigates, which shows it as a page.
    Off,
    /// A script or a program reads it, to whom many servers send JSON by this name.
    Json,
}

/// What is put first into a document, before all scripts. ASCII, as it must be the same in every charset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::serve) struct Injection {
    pub html: String,
}

/// What a single page may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) struct PageLimits {
    /// Bytes that a page's parser may keep: a tag that isn't at its end, and 128 for each element that is open around
    /// it.
    pub memory: usize,
    /// Bytes of a body when decoded.
    pub decoded: u64,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self {
            memory: 1024 * 1024,
            decoded: 256 * 1024 * 1024,
        }
    }
}

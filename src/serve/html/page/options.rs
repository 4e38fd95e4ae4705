//! What a page is rewritten with.

use std::sync::Arc;

use crate::serve::html::budget::Budget;
use crate::serve::html::charset::Charset;
use crate::serve::html::links::Links;

/// Whether a page stands for itself or within another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve::html) enum Nesting {
    Outermost,
    Within,
}

/// What a page is rewritten with.
#[derive(Debug, Clone)]
pub(in crate::serve::html) struct HtmlOptions {
    pub links: Links,
    /// What to put first into the document.
    pub injection: Option<String>,
    /// `None`: nobody said, so the page itself may.
    pub charset: Option<Charset>,
    pub memory: usize,
    /// What all pages may hold together.
    pub budget: Arc<Budget>,
    pub nesting: Nesting,
}

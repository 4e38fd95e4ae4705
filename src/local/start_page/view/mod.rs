//! A snapshot as HTML, and its changes as server-sent events.
//!
//! In: a [`PageView`]. Out: responses. Everything that comes from elsewhere becomes markup through
//! [`Html`](crate::local::pages::html::Html) alone.

pub(super) mod assets;
mod list;
mod notices;
pub(super) mod page;
pub(super) mod sse;

use super::facts::Facts;
use super::model::snapshot::Snapshot;
use crate::local::targets::mode::ProxyMode;

/// Everything that a start page is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageView<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) facts: &'a Facts,
    pub(super) mode: &'a ProxyMode,
    /// As the browser named this server.
    pub(super) host: &'a str,
    pub(super) search: &'a str,
}

impl PageView<'_> {
    /// The port in [`PageView::host`], with its colon, or nothing.
    fn port(&self) -> &str {
        match self.host.rfind(':') {
            Some(colon)
                if self.host.len() > colon + 1
                    && self.host[colon + 1..]
                        .bytes()
                        .all(|byte| byte.is_ascii_digit()) =>
            {
                &self.host[colon..]
            }
            _ => "",
        }
    }
}

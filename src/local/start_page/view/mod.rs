//! A snapshot as HTML, and its changes as server-sent events.
//!
//! In: a [`super::model::snapshot::Snapshot`]. Out: responses. Everything that comes from elsewhere becomes markup through [`html::Html`] alone.

pub(super) mod assets;
pub(super) mod document;
pub(super) mod html;
pub(super) mod list;
pub(super) mod notices;
pub(super) mod sse;

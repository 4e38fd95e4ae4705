//! What a person sees: the start page and the pages of problems.
//!
//! In: what the cluster tells (`watching`, `model`), kept in a [`model::store::Book`] with one writer, which publishes a
//! [`model::snapshot::Snapshot`] after each change. Out: HTML of a snapshot (`view`), and its changes for pages that are
//! open (`view::sse`). The pages are whole without scripts; the one script filters, moves the focus and takes changes in.
//!
//! Everything that comes from the cluster or from a request becomes markup through [`view::html::Html`] alone, which escapes it.
//! Refuses: everything from elsewhere, by a Content-Security-Policy without inline scripts. The one inline style is named there by
//! its hash: the page of a problem is also shown at the origins of targets, where every path is the target's.

mod controller;
mod model;
mod start;
mod view;
mod viewers;
mod watching;

pub(super) use start::{Facts, StartPage, WayFact};
pub(super) use view::document::{html, problem};

#[cfg(test)]
mod tests;

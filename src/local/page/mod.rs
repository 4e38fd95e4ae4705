//! What a person sees: the start page and the pages of problems.
//!
//! In: what the cluster tells (`watching`, `follow`, `reviews`), kept in a [`book::Book`] with one writer, which publishes a
//! [`snapshot::Snapshot`] after each change. Out: HTML of a snapshot (`list`, `document`), and its changes for pages that are
//! open (`live`). The pages are whole without scripts; the one script filters, moves the focus and takes changes in.
//!
//! Everything that comes from the cluster or from a request becomes markup through [`html::Html`] alone, which escapes it.
//! Refuses: everything from elsewhere, by a Content-Security-Policy without inline scripts. The one inline style is named there by
//! its hash: the page of a problem is also shown at the origins of targets, where every path is the target's.

mod assets;
mod audience;
mod book;
mod document;
mod follow;
mod html;
mod keeper;
mod links;
mod list;
mod live;
mod notices;
mod objects;
mod reviews;
mod rights;
mod snapshot;
mod start;
mod trouble;
mod watching;

pub(super) use document::{html, problem};
pub(super) use start::{Facts, StartPage, WayFact};

#[cfg(test)]
mod tests;

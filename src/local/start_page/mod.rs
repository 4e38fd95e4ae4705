//! The start page: what can be reached, as a person sees it.
//!
//! In: what the cluster tells ([`model`]), kept in a [`model::store::ClusterStore`] with one writer, the
//! [`controller`]. It publishes a [`model::snapshot::Snapshot`] after each change, as long as there are [`viewers`].
//! Out: HTML of a snapshot, and its changes for pages that are open ([`view`]). The page is whole without scripts; the
//! one script filters, moves the focus and applies changes.
//!
//! Refuses: everything from elsewhere, by a Content-Security-Policy without inline scripts.

mod controller;
mod facts;
mod handler;
mod model;
mod phase;
mod view;
mod viewers;

pub(super) use facts::Facts;
pub(super) use handler::StartPage;

#[cfg(test)]
mod tests;

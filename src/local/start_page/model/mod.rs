//! What is known of the cluster, as the start page needs it.
//!
//! In: lists, watches (`watch`) and reviews (`reviews`). Out: a [`snapshot::Snapshot`]. Nothing here knows markup.

pub(super) mod cluster_error;
pub(super) mod links;
pub(super) mod objects;
pub(super) mod reviews;
pub(super) mod rights;
pub(super) mod snapshot;
pub(super) mod store;
pub(super) mod watch;

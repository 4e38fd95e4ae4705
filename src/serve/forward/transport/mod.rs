//! Connections to backends: made, kept while they are idle, and how HTTP is spoken on them.
//!
//! In: an endpoint, and requests as a backend gets them. Out: the head of a response and a lease of the connection. Nothing
//! here knows who asked, what they may, or what headers mean.

pub(super) mod bulk_read;
pub(super) mod connection;
pub(super) mod connector;
mod http2_flood;
pub(super) mod io;
pub(super) mod pool;
mod stream;
pub(super) mod streams;
pub(super) mod tls_failure;
mod tls_records;

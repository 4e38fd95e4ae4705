//! Connections to backends: how they are made, pooled, and spoken HTTP on.
//!
//! In: an endpoint, and requests as a backend gets them. Out: the head of a response and a lease of the connection.
//! Nothing here knows who asked, what they may, or what headers mean.

mod bulk_read;
pub(super) mod connection;
pub(super) mod connector;
pub(super) mod expect_continue;
pub(super) mod handshake;
mod http2_flood;
pub(super) mod io;
pub(super) mod pool;
pub(super) mod request_body;
pub(super) mod stream;
pub(super) mod streams;
pub(super) mod tls_failure;
mod tls_records;

//! New connections to the API server: `proxy` or direct, TCP (`connect`), TLS (`tls`, `verify`, `client_certificate`,
//! `pem`).
//!
//! client-go: `transport`.

pub(super) mod client_certificate;
pub(super) mod connect;
pub(super) mod pem;
pub(super) mod proxy;
pub(super) mod tls;
pub(super) mod verify;

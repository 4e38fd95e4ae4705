//! How a connection came to an end that nobody wished for.

use std::io;

use super::slots::NoSlot;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("the TLS handshake took too long")]
    HandshakeTimeout,
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("the socket failed")]
    Socket(#[from] io::Error),
    #[error("no request came in time")]
    NoRequest,
    #[error("the address or all strangers have too many connections")]
    NoSlot(#[from] NoSlot),
    #[error("the HTTP exchange broke off")]
    Http(#[from] hyper::Error),
    #[error("the HTTP/2 connection broke off")]
    Http2(#[from] h2::Error),
    #[error("the caller does not answer a PING")]
    PingTimeout,
}

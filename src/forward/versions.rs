//! What differs between backends that speak HTTP/1 and HTTP/2: settings, the form of a request, and how one is refused.

use std::error::Error as _;
use std::time::Duration;

use http::{Request, Uri, Version};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::ForwardError;
use super::body::Up;
use crate::endpoint::Endpoint;

/// A backend's headers may be as large as a caller's.
const MAX_HEADER_BYTES: u32 = 1 << 20;

/// How long an HTTP/2 backend may leave a ping unanswered.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Whether the caller can see how the names of headers are spelled.
///
/// HTTP/1 names keep the case in which they were sent; to note it costs every answer, and HTTP/2 has lower case alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Spelling {
    Kept,
    LowerCase,
}

impl Spelling {
    pub(super) fn seen_in(version: Version) -> Self {
        if version == Version::HTTP_2 {
            Self::LowerCase
        } else {
            Self::Kept
        }
    }
}

pub(super) fn http1_settings(spelling: Spelling) -> http1::Builder {
    let mut settings = http1::Builder::new();
    // Of header lines, hyper takes 100 by default, as haproxy and Envoy do; it makes room for them on every answer.
    settings
        .preserve_header_case(spelling == Spelling::Kept)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    settings
}

pub(super) fn http2_settings() -> http2::Builder<TokioExecutor> {
    let mut settings = http2::Builder::new(TokioExecutor::new());
    settings
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_header_list_size(MAX_HEADER_BYTES);
    settings
}

/// HTTP/2 names host and scheme in the request's own fields.
pub(super) fn as_http2(request: &mut Request<Up>, endpoint: &Endpoint) -> Result<(), ForwardError> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTPS);
    let authority = http::uri::Authority::try_from(endpoint.host.as_bytes());
    parts.authority = Some(authority.map_err(|_| ForwardError::Unsendable)?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| ForwardError::Unsendable)?;
    request.headers_mut().remove(http::header::HOST);
    *request.version_mut() = Version::HTTP_2;
    Ok(())
}

/// Undoes [`as_http2`]: the next connection may speak HTTP/1.
pub(super) fn as_http1(request: &mut Request<Up>, endpoint: &Endpoint) {
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    let host = endpoint.host.clone();
    request.headers_mut().insert(http::header::HOST, host);
    *request.version_mut() = Version::HTTP_11;
}

/// Whether an HTTP/2 backend has not begun with a request: it refused the stream, it was going away, or it was gone.
pub(super) fn is_refused(cause: &hyper::Error) -> bool {
    let Some(source) = cause.source() else {
        return cause.is_canceled();
    };
    if let Some(said) = source.downcast_ref::<h2::Error>() {
        let is_going_away = said.is_remote() && said.is_go_away();
        return is_going_away || said.is_io() || said.reason() == Some(h2::Reason::REFUSED_STREAM);
    }
    source.is::<std::io::Error>()
}

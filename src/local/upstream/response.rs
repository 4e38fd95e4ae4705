//! Small steps that exchanges and upgrades share: the response's body, and the `Host` of a request.

use axum::body::Body;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::protocol::status::Response;

/// A response with its body, over whichever protocol it came. 204 and 304 have none, whatever length they name: HTTP/2
/// may still end them with an empty piece, which then is taken for a body that is too short.
pub(super) fn with_body<B>(response: http::Response<B>) -> Response
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match response.status() {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => response.map(|_| Body::empty()),
        _ => response.map(Body::new),
    }
}

/// Sets `Host`.
pub(super) fn set_host(headers: &mut HeaderMap, authority: &Authority) {
    let host = HeaderValue::from_str(authority.as_str()).expect("an authority is header text");
    headers.insert(header::HOST, host);
}

//! A response of plain text that no browser takes for anything else.

use axum::body::Body;
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::protocol::status::Response;

pub(super) fn plain_text(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let plain: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache, private"),
    ];
    for (name, value) in plain {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

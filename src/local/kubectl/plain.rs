//! Answers in a line of plain text, as kubectl proxy gives them (`http.Error` of Go).

use axum::body::Body;
use http::{HeaderValue, StatusCode, header};

use crate::protocol::html_escape;
use crate::protocol::status::Response;

/// A line of text.
pub(in crate::local) fn text(code: StatusCode, line: &str) -> Response {
    let mut response = Response::new(Body::from(format!("{line}\n")));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// 404 where nothing is served at a path.
pub(in crate::local) fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "404 page not found")
}

/// A response without a body.
pub(in crate::local) fn empty(code: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}

/// Text inside HTML, as Go writes it.
pub(in crate::local) fn escape_html(text: &str) -> String {
    html_escape::escaped(text).replace("&quot;", "&#34;")
}

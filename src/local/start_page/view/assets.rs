//! The files that the start page loads, from this program itself.

use axum::body::Body;
use http::{HeaderName, HeaderValue, header};

use crate::local::pages::document::STYLE;
use crate::protocol::status::Response;

const SCRIPT: &str = include_str!("page.js");
const ICON: &str = include_str!("icon.svg");

/// The file at a path. None: there is none.
pub(in crate::local::start_page) fn find(path: &str) -> Option<Response> {
    let (content_type, file) = match path {
        "/.throughway/style.css" => ("text/css; charset=utf-8", STYLE),
        "/.throughway/page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "/.throughway/icon.svg" => ("image/svg+xml", ICON),
        _ => return None,
    };
    let mut response = Response::new(Body::from(file));
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, content_type),
        // Another version of this program may serve the next page.
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    Some(response)
}

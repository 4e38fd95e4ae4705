//! Documents, and the headers that confine them.
//!
//! <https://www.w3.org/TR/CSP3/>: a page loads nothing but what it names on its own origin, nothing inline runs, and
//! nobody frames it. The one inline style is named in the policy by its hash: the page of a problem is also shown at
//! the origins of targets, where every path is the target's.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};

use crate::protocol::status::Response;

pub(in crate::local) const STYLE: &str = include_str!("style.css");

/// For pages at any origin: they load nothing, and their one style sheet is known by its hash.
static STATIC_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("base64 is a header's value")
});

const CONFINING_HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// A page that loads nothing, such as that of a problem.
pub(in crate::local) fn static_page(page: String) -> Response {
    page_with_policy(page, STATIC_POLICY.clone())
}

/// A page with its Content-Security-Policy.
pub(in crate::local) fn page_with_policy(page: String, policy: HeaderValue) -> Response {
    let mut response = Response::new(Body::from(page));
    let headers = response.headers_mut();
    for (name, value) in CONFINING_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

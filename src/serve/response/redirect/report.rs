//! A redirect that a program is told of and can't follow by itself. In: where it leads, and why it was not followed.
//! Out: the redirect's own status and headers without `Location`, with a `metav1.Status` and `Throughway-Location`
//! instead.

use http::header::LOCATION;
use http::{HeaderName, HeaderValue, header};

use super::location::Location;
use crate::protocol::status::{Reason, Response, Status};
use crate::serve::api::RequestInfo;

/// Where a redirect leads that was not passed on, or where the last one led that was followed.
pub(super) const THROUGHWAY_LOCATION: HeaderName = HeaderName::from_static("throughway-location");

/// The redirect's status and headers, and where it would have led.
pub(super) fn report(
    info: &RequestInfo,
    location: &Location,
    why: &str,
    response: Response,
) -> Response {
    let (mut parts, _) = response.into_parts();
    let target = match location {
        Location::Inside(inside) => format!("{}{inside}", info.prefix()),
        Location::Elsewhere(url) => url.clone(),
        Location::SameByTls => info.uri().to_string(),
        Location::Nowhere | Location::NotShown => String::from("a place that is not shown"),
    };
    let said = Status::new(
        parts.status,
        Reason::Unknown,
        format!("{why}; it leads to {target}"),
    );
    // A Status has a body and headers of its own; of the redirect's only what says nothing of a body stays.
    let (said, body) = said.into_response().into_parts();
    parts.headers.remove(LOCATION);
    // These are of the backend's body, which is gone.
    for name in [
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
        header::ETAG,
    ] {
        parts.headers.remove(name);
    }
    for name in [header::CONTENT_TYPE, header::X_CONTENT_TYPE_OPTIONS] {
        if let Some(value) = said.headers.get(&name) {
            parts.headers.insert(name, value.clone());
        }
    }
    if let Ok(target) = HeaderValue::try_from(target) {
        parts.headers.insert(THROUGHWAY_LOCATION, target);
    }
    Response::from_parts(parts, body)
}

/// What to do about an app that answers plain HTTP with a redirect to itself by TLS.
pub(super) fn wants_tls(info: &RequestInfo) -> String {
    let kind = info.resource.as_str();
    format!(
        "the application asks for TLS: name its TLS port, as in {kind}/https:NAME:PORT, or let it trust X-Forwarded-Proto"
    )
}

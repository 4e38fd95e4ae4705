//! Headers of a response that would speak for more than the one target: for the whole origin, for other origins, or for
//! this server. `rewrite` has the reasons, and takes them out of the response's head; no trailer has such a name
//! either. Pure.

use http::HeaderName;

/// Their names.
pub const ORIGIN_HEADERS: [&str; 8] = [
    "clear-site-data",
    "strict-transport-security",
    "public-key-pins",
    "public-key-pins-report-only",
    "alt-svc",
    "nel",
    "report-to",
    "service-worker-allowed",
];

/// The beginnings of others' names.
const BEGINNINGS: [&str; 2] = ["access-control-", "throughway-"];

/// Whether a header is one of these.
pub fn speaks_for_the_origin(name: &HeaderName) -> bool {
    let name = name.as_str();
    BEGINNINGS.iter().any(|begin| name.starts_with(begin)) || ORIGIN_HEADERS.contains(&name)
}

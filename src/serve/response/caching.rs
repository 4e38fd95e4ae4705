//! What caches have to know of a response that depends on more than its URL.
//!
//! A response to a request with `Throughway-Path` is that of another path than the URL's, so nobody keeps it. One that
//! became what it is because of who reads it says so in `Vary`: a page for somebody who navigates begins with the page
//! helper, the same page for a script does not. kube-apiserver lets everything be asked for again (`Cache-Control:
//! no-cache`), but a validator that matches would still bring back what was kept for another reader.
//!
//! RFC 9110 section 12.5.5, RFC 9111 section 4.1.

use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderMap, HeaderValue};

use crate::serve::client::{ClientInfo, PathSource};

/// What a response depends on besides its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DependsOn {
    UrlAlone,
    /// Whether somebody navigates.
    Client,
    /// That, and from where.
    ClientAndReferer,
}

/// Tells caches.
pub(super) fn tell(headers: &mut HeaderMap, client: &ClientInfo, depends: DependsOn) {
    // No `Vary` can say it, as the path in the header is of another resource.
    if client.path_source == PathSource::Header {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return;
    }
    let vary = match depends {
        DependsOn::UrlAlone => return,
        DependsOn::Client => "Sec-Fetch-Mode, Accept, Throughway-Redirect",
        DependsOn::ClientAndReferer => "Sec-Fetch-Mode, Accept, Throughway-Redirect, Referer",
    };
    headers.append(VARY, HeaderValue::from_static(vary));
}

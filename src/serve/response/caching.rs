//! What caches have to know of an answer that depends on more than its URL.
//!
//! An answer to a request with `Throughway-Path` is that of another path than the URL's, so nobody keeps it. One that became
//! what it is because of who reads it says so in `Vary`: a page for somebody who navigates begins with the page helper, the
//! same page for a script does not. kube-apiserver lets everything be asked for again (`Cache-Control: no-cache`), but a
//! validator that matches would still bring back what was kept for another reader.
//!
//! RFC 9110 section 12.5.5, RFC 9111 section 4.1.

use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderMap, HeaderValue};

use super::reader::{Named, Reading};

/// What an answer depends on besides its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depends {
    UrlAlone,
    /// Whether somebody navigates.
    Reader,
    /// That, and from where.
    ReaderAndPlace,
}

/// Tells caches.
pub(super) fn tell(headers: &mut HeaderMap, reading: &Reading, depends: Depends) {
    if reading.named == Named::ByHeader {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        return;
    }
    let vary = match depends {
        Depends::UrlAlone => return,
        Depends::Reader => "Sec-Fetch-Mode, Accept, Throughway-Redirect",
        Depends::ReaderAndPlace => "Sec-Fetch-Mode, Accept, Throughway-Redirect, Referer",
    };
    headers.append(VARY, HeaderValue::from_static(vary));
}

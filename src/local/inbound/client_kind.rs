//! What kind of client a request comes from. In: a request's method and headers. Out: [`ClientKind`].
//!
//! Fetch Metadata (<https://www.w3.org/TR/fetch-metadata/>) says it; where a browser sends none, `Accept` tells it.

use http::{HeaderMap, Method, header};

use crate::protocol::fetch_metadata::{SEC_FETCH_DEST, SEC_FETCH_MODE};

/// Who reads a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum ClientKind {
    /// A browser that navigates: a person reads the response.
    Navigation,
    /// A program, or a script of a page.
    Program,
}

impl ClientKind {
    pub(in crate::local) fn of(method: &Method, headers: &HeaderMap) -> Self {
        // Only these can be what an address bar or a form does.
        if !matches!(*method, Method::GET | Method::HEAD | Method::POST) {
            return Self::Program;
        }
        let is_navigation = match headers.get(SEC_FETCH_MODE) {
            Some(mode) => {
                mode == "navigate"
                    && headers
                        .get(SEC_FETCH_DEST)
                        .is_none_or(|dest| dest != "empty")
            }
            None => headers
                .get(header::ACCEPT)
                .and_then(|accept| accept.to_str().ok())
                // A browser that navigates names HTML first; many programs accept it somewhere in their list.
                .is_some_and(|accept| accept.trim_start().starts_with("text/html")),
        };
        if is_navigation {
            Self::Navigation
        } else {
            Self::Program
        }
    }
}

//! What is known of a client. In: the permit and the headers of a request, before it is sent on. Out: a [`ClientInfo`].
//!
//! A browser says what it wants a thing for in `Sec-Fetch-Mode` and `Sec-Fetch-Dest`
//! (<https://www.w3.org/TR/fetch-metadata/>); where it does not, as from an origin that is neither TLS nor loopback,
//! `Accept` tells a navigation. Whatever the server in front of us has as its own path shows only in a `Referer` of the
//! same origin.

use http::{HeaderMap, HeaderName, Method, header};

use super::external_url::ExternalUrl;
use super::page_token::OfferedToken;
use crate::protocol::envelope::TargetOrigin;
use crate::protocol::fetch_metadata::{SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE};
use crate::serve::authentication;
use crate::serve::authorization::Permit;

const THROUGHWAY_PATH: HeaderName = HeaderName::from_static("throughway-path");
const THROUGHWAY_REDIRECT: HeaderName = HeaderName::from_static("throughway-redirect");

/// What kind of client reads a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// A browser that navigates, a frame included.
    Navigation,
    /// A browser for a page that it has: scripts, styles, images, `fetch`.
    Subresource,
    /// kubectl, a probe, a program.
    Program,
}

/// What a browser makes of a response, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchDestination {
    /// The script that a worker begins with; a service worker's is another thing.
    Worker,
    Other,
}

/// Which way a request came in, and its response goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingress {
    /// kube-aggregator, which makes a 502 of every redirect with a `Location`.
    FrontProxy,
    Direct,
}

/// What names the path that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathSource {
    Url,
    /// `Throughway-Path`.
    Header,
}

/// Whether the client wants to see redirects as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectPreference {
    Usual,
    /// `Throughway-Redirect: manual`.
    Manual,
}

/// Everything about the client that a response depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    pub kind: ClientKind,
    pub destination: FetchDestination,
    pub ingress: Ingress,
    pub redirects: RedirectPreference,
    pub path_source: PathSource,
    /// The target is seen at the root of this origin, which is its own, so nothing of it needs to be mapped.
    pub target_origin: Option<TargetOrigin>,
    /// Where a browser sees the target otherwise, as far as it is known.
    pub external: ExternalUrl,
    /// What a WebSocket shows of the page that opens it.
    pub page_token: OfferedToken,
}

impl ClientInfo {
    /// What permit and headers say, before anything is known of the URL.
    pub(super) fn of(permit: &Permit, headers: &HeaderMap) -> Self {
        let method = &permit.info().method;
        let mut client = Self {
            kind: kind_by_accept(method, headers),
            destination: FetchDestination::Other,
            ingress: match permit.caller().method {
                authentication::Method::FrontProxy => Ingress::FrontProxy,
                authentication::Method::ClientCertificate
                | authentication::Method::BearerToken
                | authentication::Method::Anonymous => Ingress::Direct,
            },
            redirects: RedirectPreference::Usual,
            path_source: PathSource::Url,
            target_origin: None,
            external: ExternalUrl::default(),
            page_token: OfferedToken::default(),
        };
        // Most programs say none of these, so one walk over the names takes the place of a search for each.
        let is_said = |name: &HeaderName| {
            let name = name.as_str();
            name.starts_with("sec-fetch-") || name.starts_with("throughway-")
        };
        if headers.keys().any(is_said) {
            client.note(method, headers);
        }
        client
    }

    /// Takes note of what the request says itself.
    fn note(&mut self, method: &Method, headers: &HeaderMap) {
        self.kind = kind(method, headers);
        if let Some("worker" | "sharedworker") = text(headers, &SEC_FETCH_DEST) {
            self.destination = FetchDestination::Worker;
        }
        let redirects = text(headers, &THROUGHWAY_REDIRECT);
        if redirects.is_some_and(|value| value.eq_ignore_ascii_case("manual")) {
            self.redirects = RedirectPreference::Manual;
        }
        if headers.contains_key(THROUGHWAY_PATH) {
            self.path_source = PathSource::Header;
        }
    }

    /// The same of a target that is seen at an origin of its own.
    pub(super) fn at_target_origin(self, own: TargetOrigin) -> Self {
        Self {
            target_origin: Some(own),
            ..self
        }
    }

    /// The same of a target that is seen below a path.
    pub(super) fn seeing(self, external: ExternalUrl, page_token: OfferedToken) -> Self {
        Self {
            external,
            page_token,
            ..self
        }
    }

    /// The target's path as the browser has it, as far as that is known.
    pub fn prefix<'a>(&'a self, permit: &'a Permit) -> &'a str {
        let external = self.external.prefix.as_deref();
        external.unwrap_or_else(|| permit.info().prefix())
    }
}

fn kind(method: &Method, headers: &HeaderMap) -> ClientKind {
    match text(headers, &SEC_FETCH_MODE) {
        Some("navigate" | "nested-navigate") => ClientKind::Navigation,
        // Any other mode is a script's or a tag's, so a page is already there to show what comes.
        Some(_) => ClientKind::Subresource,
        None if headers.contains_key(SEC_FETCH_SITE) => ClientKind::Subresource,
        None => kind_by_accept(method, headers),
    }
}

/// The kind by what the client accepts, where it says no more.
fn kind_by_accept(method: &Method, headers: &HeaderMap) -> ClientKind {
    if matches!(*method, Method::GET | Method::HEAD) && accepts_html(headers) {
        ClientKind::Navigation
    } else {
        ClientKind::Program
    }
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case("text/html"))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

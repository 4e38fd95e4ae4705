//! Who will read an answer. In: the permit and the headers of the request, before it is sent on. Out: a [`Reading`].
//!
//! A browser says what it wants a thing for in `Sec-Fetch-Mode` and `Sec-Fetch-Dest` (<https://www.w3.org/TR/fetch-metadata/>);
//! where it does not, as from an origin that is neither TLS nor loopback, `Accept` tells a navigation. Whatever the server in
//! front of us has as its own path shows only in a `Referer` of the same origin.

use http::{HeaderMap, HeaderName, Method, header};

use crate::serve::authentication;
use crate::serve::authorization::Permit;
use crate::serve::forward::{Presented, Seen};

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const THROUGHWAY_PATH: HeaderName = HeaderName::from_static("throughway-path");
const THROUGHWAY_REDIRECT: HeaderName = HeaderName::from_static("throughway-redirect");

/// What kind of client reads an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A browser that navigates, a frame included.
    Document,
    /// A browser for a page that it has: scripts, styles, images, `fetch`.
    Script,
    /// kubectl, a probe, a program.
    Tool,
}

/// What a browser makes of an answer, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    /// The script that a worker begins with; a service worker's is another thing.
    Worker,
    Other,
}

/// Which way an answer goes to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// kube-aggregator, which makes a 502 of every redirect with a `Location`.
    FrontProxy,
    Direct,
}

/// What names the path that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    ByUrl,
    /// `Throughway-Path`.
    ByHeader,
}

/// Whether the reader wants to see redirects as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redirecting {
    Usual,
    /// `Throughway-Redirect: manual`.
    Manual,
}

/// Everything about the reader that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub(super) reader: Reader,
    pub(super) destination: Destination,
    pub(super) via: Via,
    pub(super) redirecting: Redirecting,
    pub(super) named: Named,
    /// How the browser sees the target, as far as it is known.
    pub(super) seen: Seen,
    /// The login at the app that goes along with the request.
    pub(super) login: Presented,
}

impl Reading {
    pub fn of(permit: &Permit, headers: &HeaderMap, seen: Seen) -> Self {
        let via = match permit.caller().method {
            authentication::Method::FrontProxy => Via::FrontProxy,
            authentication::Method::ClientCertificate
            | authentication::Method::BearerToken
            | authentication::Method::Anonymous => Via::Direct,
        };
        let method = &permit.info().method;
        let mut reading = Self {
            reader: of_accepted(method, headers),
            destination: Destination::Other,
            via,
            redirecting: Redirecting::Usual,
            named: Named::ByUrl,
            seen,
            login: Presented::Nothing,
        };
        // Most programs say none of these, so they are looked for once and not one by one.
        let is_said = |name: &HeaderName| {
            let name = name.as_str();
            name.starts_with("sec-fetch-") || name.starts_with("throughway-")
        };
        if headers.keys().any(is_said) {
            reading.note(method, headers);
        }
        reading
    }

    /// Takes note of what the request says itself.
    fn note(&mut self, method: &Method, headers: &HeaderMap) {
        self.reader = reader(method, headers);
        if let Some("worker" | "sharedworker") = text(headers, &SEC_FETCH_DEST) {
            self.destination = Destination::Worker;
        }
        let redirecting = text(headers, &THROUGHWAY_REDIRECT);
        if redirecting.is_some_and(|value| value.eq_ignore_ascii_case("manual")) {
            self.redirecting = Redirecting::Manual;
        }
        if headers.contains_key(THROUGHWAY_PATH) {
            self.named = Named::ByHeader;
        }
    }

    /// The same with the login that goes along.
    pub fn with_login(self, login: Presented) -> Self {
        Self { login, ..self }
    }

    /// How the browser sees the target, as far as it is known.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The target's path as the browser has it, as far as that is known.
    pub(super) fn prefix<'a>(&'a self, permit: &'a Permit) -> &'a str {
        let seen = self.seen.prefix.as_deref();
        seen.unwrap_or_else(|| permit.info().prefix())
    }
}

fn reader(method: &Method, headers: &HeaderMap) -> Reader {
    match text(headers, &SEC_FETCH_MODE) {
        Some("navigate" | "nested-navigate") => Reader::Document,
        Some(_) => Reader::Script,
        None if headers.contains_key(SEC_FETCH_SITE) => Reader::Script,
        None => of_accepted(method, headers),
    }
}

/// The reader by what it accepts, where it says no more.
fn of_accepted(method: &Method, headers: &HeaderMap) -> Reader {
    if matches!(*method, Method::GET | Method::HEAD) && accepts_html(headers) {
        Reader::Document
    } else {
        Reader::Tool
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

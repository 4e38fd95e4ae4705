//! Who will read an answer. In: the permit and the headers of the request, before it is sent on. Out: a [`Reading`].
//!
//! A browser says what it wants a thing for in `Sec-Fetch-Mode` and `Sec-Fetch-Dest` (<https://www.w3.org/TR/fetch-metadata/>);
//! where it does not, as from an origin that is neither TLS nor loopback, `Accept` tells a navigation. Whatever the server in
//! front of us has as its own path shows only in a `Referer` of the same origin.

use http::{HeaderMap, HeaderName, Method, header};

use crate::authentication;
use crate::authorization::Permit;
use crate::config::LinkStyle;
use crate::forward::Presented;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
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

/// Which way an answer goes to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// kube-aggregator, which makes a 502 of every redirect with a `Location`.
    FrontProxy,
    Direct,
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
    pub(super) via: Via,
    pub(super) redirecting: Redirecting,
    pub(super) links: LinkStyle,
    /// The prefix as the browser sees it, where it is known.
    pub(super) external_prefix: Option<String>,
    /// The host of the page that asks, as the browser sees it, where it is known.
    pub(super) external_host: Option<String>,
    /// The login at the app that goes along with the request.
    pub(super) login: Presented,
}

impl Reading {
    pub fn of(permit: &Permit, headers: &HeaderMap, links: LinkStyle) -> Self {
        let via = match permit.caller().method {
            authentication::Method::FrontProxy => Via::FrontProxy,
            authentication::Method::ClientCertificate
            | authentication::Method::BearerToken
            | authentication::Method::Anonymous => Via::Direct,
        };
        let redirecting = match text(headers, &THROUGHWAY_REDIRECT) {
            Some(value) if value.eq_ignore_ascii_case("manual") => Redirecting::Manual,
            _ => Redirecting::Usual,
        };
        let seen = referring_page(permit.asked().prefix(), headers);
        let (external_host, external_prefix) = seen.unzip();
        let external_host = external_host.filter(|_| headers.contains_key(SEC_FETCH_SITE));
        Self {
            reader: reader(&permit.asked().method, headers),
            via,
            redirecting,
            links,
            external_prefix,
            external_host,
            login: Presented::Nothing,
        }
    }

    /// The same with the login that goes along.
    pub fn with_login(self, login: Presented) -> Self {
        Self { login, ..self }
    }
}

fn reader(method: &Method, headers: &HeaderMap) -> Reader {
    match text(headers, &SEC_FETCH_MODE) {
        Some("navigate" | "nested-navigate") => Reader::Document,
        Some(_) => Reader::Script,
        None if headers.contains_key(SEC_FETCH_SITE) => Reader::Script,
        None if matches!(*method, Method::GET | Method::HEAD) && accepts_html(headers) => {
            Reader::Document
        }
        None => Reader::Tool,
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

/// Host and prefix of the referring page, if it is one of this very target.
fn referring_page(prefix: &str, headers: &HeaderMap) -> Option<(String, String)> {
    let site = text(headers, &SEC_FETCH_SITE);
    if site.is_some_and(|site| site != "same-origin") {
        return None;
    }
    let referer = text(headers, &header::REFERER)?;
    let rest = referer
        .strip_prefix("http://")
        .or_else(|| referer.strip_prefix("https://"))?;
    let path = rest.find('/')?;
    let (host, path) = rest.split_at(path);
    let path = path.split(['?', '#']).next()?;
    let end = path.find(prefix)? + prefix.len();
    let is_whole = path[end..].is_empty() || path[end..].starts_with('/');
    is_whole.then(|| (host.to_owned(), path[..end].to_owned()))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

//! Redirects. In: an answer with `Location`, who reads it, where the request was. Out: an answer that the front proxy lets pass,
//! or the next hop.
//!
//! | who asks | gets |
//! |---|---|
//! | a direct caller | the redirect, its `Location` relative where it leads into the target |
//! | a browser that navigates | the backend's own status with `Refresh` and a page ([`page`]) |
//! | anybody else, into the target | the answer of where it leads, followed here ([`follow`]); `Throughway-Location` names it |
//! | anybody else, elsewhere; `Throughway-Redirect: manual` | the status without `Location`, the target in `Throughway-Location` |
//!
//! kube-aggregator makes a 502 of any 3xx with a `Location` (CVE-2022-3172). 300 and 304 are no redirects, they only lose it.
//! A redirect to the same path by `https:` leads nowhere but to itself, and is told with what helps.
//! Elsewhere is never followed: no request leaves the target that was authorized.
//!
//! RFC 9110 section 15.4; kube-apiserver's `pkg/util/proxy/transport.go`.

pub(super) mod follow;
mod location;
pub(super) mod page;

use http::header::LOCATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::link::Links;
use super::reader::{Reader, Reading, Redirecting, Via};
use crate::protocol::status::{Reason, Request, Response, Status};
use crate::serve::api::RequestInfo;
use crate::serve::cluster::{Redirects, ServiceSettings};
use follow::{Hop, Trail};
use location::Place;

const THROUGHWAY_LOCATION: HeaderName = HeaderName::from_static("throughway-location");

/// What becomes of an answer.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The backend's own.
    Answer(Response),
    /// What this server says of a redirect.
    Told(Response),
    Follow(Hop),
}

/// What one answer is an answer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) reading: &'a Reading,
    pub(super) settings: &'a ServiceSettings,
    /// What this hop asked for.
    pub(super) asked: &'a RequestInfo,
    pub(super) links: &'a Links,
}

/// How its reader is told of a redirect.
enum Telling {
    Page,
    Follow,
    Manual,
}

/// Whether redirects of a request will be followed here, so that what a next hop needs is to be kept.
pub(super) fn may_follow(reading: &Reading, settings: &ServiceSettings) -> bool {
    reading.via == Via::FrontProxy && matches!(telling(reading, settings), Telling::Follow)
}

/// Decides what becomes of an answer.
pub(super) fn decide(at: Situation<'_>, trail: &mut Trail, mut response: Response) -> Outcome {
    let is_redirect = matches!(response.status().as_u16(), 301..=303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION) else {
        return Outcome::Answer(response);
    };
    let place = location::place(location, at.asked, at.links);
    if at.reading.via == Via::Direct || !response.status().is_redirection() {
        make_relative(at.links, place, response.headers_mut());
        return Outcome::Answer(response);
    }
    if !is_redirect || place == Place::Nowhere {
        response.headers_mut().remove(LOCATION);
        return Outcome::Answer(response);
    }
    match (telling(at.reading, at.settings), place) {
        (Telling::Page, Place::Inside(inside)) => {
            Outcome::Told(match at.links.map_inside(&inside) {
                Some(relative) => page::leading_to(&relative, response),
                None => page::leading_nowhere(
                    "The application redirects from a path that is too long to lead back.",
                    response,
                ),
            })
        }
        (Telling::Page, Place::Elsewhere(url)) if is_web(&url) => {
            Outcome::Told(page::leading_to(&url, response))
        }
        (Telling::Page, Place::SameByTls) => {
            Outcome::Told(page::leading_nowhere(&wants_tls(at.asked), response))
        }
        (Telling::Page, Place::Elsewhere(_) | Place::Nowhere | Place::NotShown) => {
            Outcome::Told(page::leading_nowhere(
                "The application wants to redirect to an address that is none of the web.",
                response,
            ))
        }
        (Telling::Follow, Place::Inside(inside)) => {
            let answered = (response.status(), response.headers());
            match trail.hop(at.asked, answered, &inside) {
                Ok(hop) => {
                    trail.collect(response.headers());
                    Outcome::Follow(hop)
                }
                Err(why) => {
                    let why = format!("this redirect was not followed: {why}");
                    Outcome::Told(told(at, &Place::Inside(inside), &why, response))
                }
            }
        }
        (Telling::Follow, place @ Place::SameByTls) => {
            Outcome::Told(told(at, &place, &wants_tls(at.asked), response))
        }
        (Telling::Follow, place) => {
            let why = "this redirect leads elsewhere and was not followed";
            Outcome::Told(told(at, &place, why, response))
        }
        (Telling::Manual, place) => {
            let why = "this redirect was not followed, as Throughway-Redirect: manual asks";
            Outcome::Told(told(at, &place, why, response))
        }
    }
}

/// `…/proxy` without its slash: readers who resolve links against it are sent to `…/proxy/`, tools get the answer of `/`.
pub(super) fn to_slash(
    reading: &Reading,
    asked: &RequestInfo,
    request: &Request,
) -> Option<Response> {
    let lacks_it = asked.path_inside().is_empty()
        && matches!(asked.method, Method::GET | Method::HEAD)
        && !request.headers().contains_key(header::UPGRADE);
    if !lacks_it {
        return None;
    }
    let query = asked.query().map(|query| format!("?{query}"));
    let target = format!("proxy/{}", query.unwrap_or_default());
    let mut response = Response::default();
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    match (reading.via, reading.reader) {
        (Via::FrontProxy, Reader::Document) => Some(page::leading_to(&target, response)),
        (Via::FrontProxy, Reader::Script | Reader::Tool) => None,
        (Via::Direct, _) => {
            let location = HeaderValue::try_from(target);
            let location = location.expect("a query that was read is header text");
            response.headers_mut().insert(LOCATION, location);
            Some(response)
        }
    }
}

/// Names where a chain of redirects ended.
pub(super) fn name_end(asked: &RequestInfo, headers: &mut HeaderMap) {
    if let Ok(place) = HeaderValue::try_from(asked.uri().to_string()) {
        headers.insert(THROUGHWAY_LOCATION, place);
    }
}

fn telling(reading: &Reading, settings: &ServiceSettings) -> Telling {
    match (reading.redirecting, settings.redirects, reading.reader) {
        (Redirecting::Manual, _, _) => Telling::Manual,
        (Redirecting::Usual, Redirects::Page, _)
        | (Redirecting::Usual, Redirects::Auto, Reader::Document) => Telling::Page,
        (Redirecting::Usual, Redirects::Follow | Redirects::Auto, _) => Telling::Follow,
    }
}

/// What leads into the target is written such that it does, whatever a browser makes of it; what does so already stays.
fn make_relative(links: &Links, place: Place, headers: &mut HeaderMap) {
    let inside = match place {
        Place::Inside(inside) => inside,
        Place::Elsewhere(_) | Place::Nowhere | Place::SameByTls => return,
        // A browser would be led out of the target, or nowhere.
        Place::NotShown => {
            headers.remove(LOCATION);
            return;
        }
    };
    let stays = |location: &str| {
        links.inside(location).is_none()
            && location
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
            && !location.contains("..")
            && !location.to_ascii_lowercase().contains("%2e")
    };
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    if location.is_some_and(stays) {
        return;
    }
    let relative = links.map_inside(&inside).map(HeaderValue::try_from);
    if let Some(Ok(value)) = relative {
        headers.insert(LOCATION, value);
    }
}

/// What to do about an app that answers plain HTTP with a redirect to itself by TLS.
fn wants_tls(asked: &RequestInfo) -> String {
    let kind = asked.resource.as_str();
    format!(
        "the application asks for TLS: name its TLS port, as in {kind}/https:NAME:PORT, or let it trust X-Forwarded-Proto"
    )
}

fn is_web(url: &str) -> bool {
    let url = url.to_ascii_lowercase().replace('\\', "/");
    // Without a scheme it has that of the page.
    ["http://", "https://", "//"]
        .iter()
        .any(|start| url.starts_with(start))
}

/// The redirect's status and headers, and where it would have led.
fn told(at: Situation<'_>, place: &Place, why: &str, response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    let target = match place {
        Place::Inside(inside) => format!("{}{inside}", at.asked.prefix()),
        Place::Elsewhere(url) => url.clone(),
        Place::SameByTls => at.asked.uri().to_string(),
        Place::Nowhere | Place::NotShown => String::from("a place that is not shown"),
    };
    let said = Status::new(
        parts.status,
        Reason::Unknown,
        format!("{why}; it leads to {target}"),
    );
    let (said, body) = said.into_response().into_parts();
    parts.headers.remove(LOCATION);
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

#[cfg(test)]
mod tests;

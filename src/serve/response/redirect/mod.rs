//! Redirects (301, 302, 303, 307, 308). In: a response with `Location`, who reads it, where the request was. Out: a
//! response that the front proxy lets pass, or the next request.
//!
//! | who asks | gets |
//! |---|---|
//! | a direct caller | the redirect, its `Location` relative where it leads into the target |
//! | a browser that navigates | the backend's own status with `Refresh` and a page ([`crate::serve::redirect_page`]) |
//! | anybody else, into the target | the response of where it leads, followed here ([`chain`]); `Throughway-Location` names it |
//! | anybody else, elsewhere; `Throughway-Redirect: manual` | the status without `Location`, the target in `Throughway-Location` |
//!
//! kube-aggregator makes a 502 of any 3xx with a `Location` (CVE-2022-3172). 300 and 304 are no redirects, they only
//! lose it. A redirect to the same path by `https:` leads nowhere but to itself, and is told with what helps. Elsewhere
//! is never followed: no request leaves the target that was authorized.
//!
//! RFC 9110 section 15.4; kube-apiserver's `pkg/util/proxy/transport.go`.

pub(super) mod chain;
mod cookie_jar;
mod location;
mod mode;
mod report;
mod request_body;

use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::context::ResponseContext;
use crate::protocol::status::{Request, Response};
use crate::serve::api::RequestInfo;
use crate::serve::client::{ClientInfo, ClientKind, Ingress};
use crate::serve::html::links::Links;
use crate::serve::redirect_page::{leading_nowhere, leading_to};
use chain::{Redirect, RedirectChain};
use location::Location;
use mode::{RedirectMode, mode};
use report::{THROUGHWAY_LOCATION, report, wants_tls};

/// What becomes of a response.
#[derive(Debug)]
pub(super) enum Decided {
    /// It is the backend's own.
    Passed(Response),
    /// It is what this server says of a redirect.
    Replaced(Response),
    Follow(Redirect),
}

/// Decides what becomes of a response.
pub(super) fn decide(
    context: ResponseContext<'_>,
    links: &Links,
    chain: &mut RedirectChain<'_>,
    mut response: Response,
) -> Decided {
    let (client, info) = (context.client, context.permit.info());
    let Some(location) = response.headers().get(LOCATION) else {
        return Decided::Passed(response);
    };
    let location = Location::read(location, info, links);
    // A 201 may have a `Location`, which kube-aggregator lets pass; it only has to lead right.
    if client.ingress == Ingress::Direct || !response.status().is_redirection() {
        make_relative(links, location, response.headers_mut());
        return Decided::Passed(response);
    }
    // 300 and 304 are no redirects, but kube-aggregator refuses them as well if they have a `Location`.
    let is_redirect = matches!(response.status().as_u16(), 301..=303 | 307 | 308);
    // Only the header goes: the status is the backend's word.
    if !is_redirect || location == Location::Nowhere {
        response.headers_mut().remove(LOCATION);
        return Decided::Passed(response);
    }
    match mode(client, &context.endpoint.settings) {
        RedirectMode::Page => Decided::Replaced(as_page(info, links, location, response)),
        RedirectMode::Follow => follow(info, chain, &location, response),
        RedirectMode::Manual => {
            let why = "this redirect was not followed, as Throughway-Redirect: manual asks";
            Decided::Replaced(report(info, &location, why, response))
        }
    }
}

/// The redirect as a page, for a browser that navigates.
fn as_page(info: &RequestInfo, links: &Links, location: Location, response: Response) -> Response {
    match location {
        Location::Inside(inside) => match links.map_inside(&inside) {
            Some(relative) => leading_to(&relative, response),
            None => leading_nowhere(
                "The application redirects from a path that is too long to lead back.",
                response,
            ),
        },
        // To a page outside: a link of the user's own browser, with nothing of the caller in it.
        Location::Elsewhere(url) if is_web(&url) => leading_to(&url, response),
        Location::SameByTls => leading_nowhere(&wants_tls(info), response),
        Location::Elsewhere(_) | Location::Nowhere | Location::NotShown => leading_nowhere(
            "The application wants to redirect to an address that is none of the web.",
            response,
        ),
    }
}

/// Follows what leads into the target, and reports everything else.
fn follow(
    info: &RequestInfo,
    chain: &mut RedirectChain<'_>,
    location: &Location,
    response: Response,
) -> Decided {
    let why = match location {
        Location::Inside(inside) => {
            match chain.follow(info, response.status(), response.headers(), inside) {
                Ok(redirect) => return Decided::Follow(redirect),
                Err(why) => format!("this redirect was not followed: {why}"),
            }
        }
        Location::SameByTls => wants_tls(info),
        Location::Elsewhere(_) | Location::Nowhere | Location::NotShown => {
            "this redirect leads elsewhere and was not followed".to_owned()
        }
    };
    Decided::Replaced(report(info, location, &why, response))
}

/// `…/proxy` without its slash: who resolves links against it is sent to `…/proxy/`, programs get the response of `/`.
pub(super) fn to_slash(
    client: &ClientInfo,
    info: &RequestInfo,
    request: &Request,
) -> Option<Response> {
    // A handshake is no page, and a POST would lose its body.
    let lacks_it = info.path_inside().is_empty()
        && matches!(info.method, Method::GET | Method::HEAD)
        && !request.headers().contains_key(header::UPGRADE);
    if !lacks_it {
        return None;
    }
    let query = info.query().map(|query| format!("?{query}"));
    let target = format!("proxy/{}", query.unwrap_or_default());
    let mut response = Response::default();
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    match (client.ingress, client.kind) {
        (Ingress::FrontProxy, ClientKind::Navigation) => Some(leading_to(&target, response)),
        // Relative links do not matter to it, so it gets `/` at once.
        (Ingress::FrontProxy, ClientKind::Subresource | ClientKind::Program) => None,
        (Ingress::Direct, _) => {
            let location = HeaderValue::try_from(target);
            let location = location.expect("a query that was read is header text");
            response.headers_mut().insert(LOCATION, location);
            Some(response)
        }
    }
}

/// Names where a chain of redirects ended.
pub(super) fn name_end(info: &RequestInfo, headers: &mut HeaderMap) {
    if let Ok(end) = HeaderValue::try_from(info.uri().to_string()) {
        headers.insert(THROUGHWAY_LOCATION, end);
    }
}

/// What leads into the target is written such that it does, whatever a browser makes of it; what does so already stays.
fn make_relative(links: &Links, location: Location, headers: &mut HeaderMap) {
    let inside = match location {
        Location::Inside(inside) => inside,
        Location::Elsewhere(_) | Location::Nowhere | Location::SameByTls => return,
        // A browser would be led out of the target, or nowhere.
        Location::NotShown => {
            headers.remove(LOCATION);
            // Without the header there is nothing left that could lead anywhere.
            return;
        }
    };
    // What a browser reads exactly as it stands is not touched, so that apps see their own words again.
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

fn is_web(url: &str) -> bool {
    let url = url.to_ascii_lowercase().replace('\\', "/");
    // Without a scheme it has that of the page.
    ["http://", "https://", "//"]
        .iter()
        .any(|start| url.starts_with(start))
}

#[cfg(test)]
mod tests;

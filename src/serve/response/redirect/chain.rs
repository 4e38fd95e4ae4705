//! Following redirects for clients who can't be told of them. In: the request as it goes out first. Out: each next
//! request, and at the end what every response of the chain has set besides.
//!
//! At most [`MAX_REDIRECTS`], as browsers have it at twice that; method and body as RFC 9110 section 15.4 has them; a
//! body only if it was short and whole when the redirect came ([`RecordedBody`]). Cookies of each response go along
//! with the next request and are handed out with the last response. Only what leads into the target of the first
//! request is followed, and every request is authorized, resolved and sent like one of its own.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};

use super::cookie_jar;
use super::mode::may_follow;
use super::request_body::{MAX_REPLAYED_BODY, RecordedBody};
use crate::protocol::status::Request;
use crate::serve::api::RequestInfo;
use crate::serve::client::ClientInfo;
use crate::serve::config::CookieNames;
use crate::serve::destination::Destination;

const MAX_REDIRECTS: usize = 10;

/// Cookies that all responses of a chain may set together, and their bytes. Browsers keep 180 a site, of 4 KiB each; a
/// redirect that would set more is told to its client and not followed.
const MAX_COOKIES: usize = 50;
const MAX_COOKIE_BYTES: usize = 16 * 1024;

/// The redirects of one request that were followed here.
#[derive(Debug)]
pub struct RedirectChain<'a> {
    never_forward_cookies: &'a CookieNames,
    /// None for a request whose redirects are not followed.
    first: Option<Box<First>>,
    followed: usize,
    cookies: Vec<HeaderValue>,
}

/// What a next request repeats of the first.
#[derive(Debug)]
struct First {
    info: RequestInfo,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    body: RecordedBody,
}

/// Where a redirect leads: what is asked for next, and the request that asks for it.
#[derive(Debug)]
pub struct Redirect {
    pub info: RequestInfo,
    pub request: Box<Request>,
}

/// Why a redirect into the target is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotFollowed {
    #[error("it is the last of {MAX_REDIRECTS} that are followed")]
    TooMany,
    #[error(
        "it asks for the body again, which was longer than {MAX_REPLAYED_BODY} bytes or not read to its end"
    )]
    Body,
    #[error("it leads to no path that can be asked for")]
    Path,
    #[error(
        "it and those before it set more than {MAX_COOKIES} cookies or {MAX_COOKIE_BYTES} bytes of them"
    )]
    Cookies,
}

impl<'a> RedirectChain<'a> {
    pub(in crate::serve::response) fn new(never_forward_cookies: &'a CookieNames) -> Self {
        Self {
            never_forward_cookies,
            first: None,
            followed: 0,
            cookies: Vec::new(),
        }
    }

    /// Takes note of what a next request would need of the first one, if redirects of its client are followed here.
    /// Later requests of the chain repeat it, so of them nothing is noted.
    pub fn record(
        &mut self,
        client: &ClientInfo,
        destination: &Destination<'_>,
        request: &mut Request,
    ) {
        // What is not followed is not recorded, which would cost a copy of every request's headers.
        if !self.has_followed() && may_follow(client, destination.settings()) {
            self.record_first(destination.permit().info(), request);
        }
    }

    pub(super) fn record_first(&mut self, info: &RequestInfo, request: &mut Request) {
        self.first = Some(Box::new(First {
            info: info.clone(),
            // The body is recorded as it passes, so that the first request waits for nothing.
            body: RecordedBody::recorded(request.body_mut()),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
        }));
    }

    /// Whether any redirect of this request was followed.
    pub(in crate::serve::response) fn has_followed(&self) -> bool {
        self.followed > 0
    }

    /// Follows a redirect to a path inside the target. `info` is of the request that it answers.
    pub(super) fn follow(
        &mut self,
        info: &RequestInfo,
        status: StatusCode,
        headers: &HeaderMap,
        inside: &str,
    ) -> Result<Redirect, NotFollowed> {
        let first = self.first.as_ref().ok_or(NotFollowed::Path)?;
        // Counted before anything is looked at, so that a circle ends whatever else it does.
        if self.followed >= MAX_REDIRECTS {
            return Err(NotFollowed::TooMany);
        }
        // Before the redirect is taken: one that would set too much is told to the client, with its cookies.
        if !self.has_room_for(headers) {
            return Err(NotFollowed::Cookies);
        }
        let method = method_after(status, &info.method);
        let is_repeated = method == info.method && !matches!(method, Method::GET | Method::HEAD);
        // A body that is not whole yet counts like one that is too long: nobody waits for the rest of it.
        let body = match is_repeated {
            true => Some(first.body.whole().ok_or(NotFollowed::Body)?),
            false => None,
        };
        // A fragment is the browser's own and never asked for.
        let inside = inside.split('#').next().unwrap_or_default();
        // Authorized, resolved and sent anew by whoever gets this: nothing is taken over from the first permit.
        let info = info.at(method, inside).map_err(|_| NotFollowed::Path)?;
        // The response is not passed on, but what it sets is.
        self.cookies
            .extend(headers.get_all(header::SET_COOKIE).iter().cloned());
        self.followed += 1;
        let request = self.request(first, &info.method, body);
        Ok(Redirect { info, request })
    }

    fn has_room_for(&self, headers: &HeaderMap) -> bool {
        let set = headers.get_all(header::SET_COOKIE).iter();
        let mut bytes = 0;
        // One more than allowed is enough to know, so a thousand cookies are not counted.
        let all = self.cookies.iter().chain(set).take(MAX_COOKIES + 1);
        let count = all.map(|cookie| bytes += cookie.len()).count();
        count <= MAX_COOKIES && bytes <= MAX_COOKIE_BYTES
    }

    /// The next request, which leads where the redirect does.
    fn request(&self, first: &First, method: &Method, body: Option<Bytes>) -> Box<Request> {
        let mut request = Request::new(body.map(Body::from).unwrap_or_default());
        *request.method_mut() = method.clone();
        // The path of the next request is in `info`; of the URI only the authority is still read.
        *request.uri_mut() = first.uri.clone();
        *request.version_mut() = first.version;
        *request.headers_mut() = first.headers.clone();
        let headers = request.headers_mut();
        // Without a body there is nothing that these could describe, and a length would be waited for.
        if *method != first.info.method {
            CONTENT_HEADERS
                .iter()
                .for_each(|name| drop(headers.remove(name)));
        }
        // The body, if there is one, is here already, so nobody waits for a 100.
        headers.remove(header::EXPECT);
        let never = self.never_forward_cookies;
        if let Some(cookies) = cookie_jar::cookie(&first.headers, &self.cookies, never) {
            headers.insert(header::COOKIE, cookies);
        }
        Box::new(request)
    }

    /// Adds the cookies of the whole chain to the last response, whose own come last.
    pub(in crate::serve::response) fn add_cookies(&self, headers: &mut HeaderMap) {
        if self.cookies.is_empty() {
            return;
        }
        let last: Vec<HeaderValue> = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .cloned()
            .collect();
        // All of them, in the order of their responses: a browser takes the last of each name.
        headers.remove(header::SET_COOKIE);
        for cookie in self.cookies.iter().chain(&last) {
            headers.append(header::SET_COOKIE, cookie.clone());
        }
    }
}

/// What describes a body, which a request without one does not have (RFC 9110 section 15.4).
const CONTENT_HEADERS: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::TRANSFER_ENCODING,
    header::TRAILER,
];

/// RFC 9110 section 15.4: 303 is fetched; a POST that is moved is, too, as all clients do.
fn method_after(status: StatusCode, method: &Method) -> Method {
    match status {
        // HEAD stays HEAD: who asked for no body gets none (RFC 9110 section 15.4.4).
        StatusCode::SEE_OTHER if method != Method::HEAD => Method::GET,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if method == Method::POST => Method::GET,
        _ => method.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_change_as_rfc_9110_says() {
        for (status, method, expected) in [
            (301, "POST", "GET"),
            (302, "POST", "GET"),
            (302, "PUT", "PUT"),
            (303, "PUT", "GET"),
            (303, "HEAD", "HEAD"),
            (307, "POST", "POST"),
            (308, "DELETE", "DELETE"),
            (302, "GET", "GET"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let after = method_after(status, &method.parse().unwrap());
            assert_eq!(after.as_str(), expected, "{status} {method}");
        }
    }

    #[test]
    fn a_chain_sets_no_more_cookies_than_its_limits() {
        let value = |text: String| HeaderValue::try_from(text).unwrap();
        let headers = |count: usize, length: usize| -> HeaderMap {
            let cookie = |at: usize| value(format!("a{at:02}={}", "x".repeat(length - 4)));
            (0..count)
                .map(|at| (header::SET_COOKIE, cookie(at)))
                .collect()
        };
        let never = CookieNames::default();
        let mut chain = RedirectChain::new(&never);
        assert!(chain.has_room_for(&headers(MAX_COOKIES, 10)));
        assert!(!chain.has_room_for(&headers(MAX_COOKIES + 1, 10)));
        assert!(chain.has_room_for(&headers(16, 1024)));
        assert!(!chain.has_room_for(&headers(16, 1025)));
        chain.cookies = headers(30, 10).into_iter().map(|(_, set)| set).collect();
        assert!(chain.has_room_for(&headers(MAX_COOKIES - 30, 10)));
        assert!(!chain.has_room_for(&headers(MAX_COOKIES - 29, 10)));
    }
}

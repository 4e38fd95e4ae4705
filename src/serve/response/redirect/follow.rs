//! Following redirects for readers who can't be told of them. In: the request as it goes out first. Out: the request of each
//! next hop, and at the end what every hop has said besides.
//!
//! At most [`MOST_HOPS`], as browsers have it at twice that; method and body as RFC 9110 section 15.4 has them; a body only if
//! it was at most [`REPLAYED_BODY`] and whole when the redirect came. Cookies of each hop go along with the next one and are
//! handed out with the last answer. Only what leads into the target of the first request is followed, and every hop is
//! authorized, resolved and sent like a request of its own.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::super::cookies::renamed;
use crate::protocol::status::Request;
use crate::serve::api::RequestInfo;
use crate::serve::config::CookieNames;

const MOST_HOPS: usize = 10;

/// Bytes of a request's body that are kept for a redirect that asks for them again.
const REPLAYED_BODY: usize = 64 * 1024;

/// Cookies that all hops of a request may set together, and their bytes. Browsers keep 180 a site, of 4 KiB each; a redirect
/// that would set more is told to its reader and not followed.
const MAX_COOKIES: usize = 50;
const MAX_COOKIE_BYTES: usize = 16 * 1024;

/// The way of one request over several hops.
#[derive(Debug)]
pub struct Trail {
    first: Option<Arc<First>>,
    hops: usize,
    cookies: Vec<HeaderValue>,
}

/// What a next hop repeats of the first request.
#[derive(Debug)]
struct First {
    asked: RequestInfo,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    body: Arc<Mutex<Recorded>>,
    never_forward_cookies: CookieNames,
}

/// The next hop: what is asked for, and with which body.
#[derive(Debug)]
pub struct Hop {
    pub asked: RequestInfo,
    body: Option<Bytes>,
    first: Arc<First>,
}

/// Why a redirect into the target is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotFollowed {
    #[error("it is the last of {MOST_HOPS} that are followed")]
    TooMany,
    #[error(
        "it asks for the body again, which was longer than {REPLAYED_BODY} bytes or not read to its end"
    )]
    Body,
    #[error("it leads to no path that can be asked for")]
    Path,
    #[error(
        "it and those before it set more than {MAX_COOKIES} cookies or {MAX_COOKIE_BYTES} bytes of them"
    )]
    Cookies,
}

/// The beginning of a body, and whether that was all.
#[derive(Debug, Default)]
struct Recorded {
    chunks: Vec<Bytes>,
    length: usize,
    /// What the request says of its length: nobody may look further than that.
    announced: Option<u64>,
    state: Recording,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Recording {
    #[default]
    Running,
    Whole,
    /// It was too long, had trailers, or broke off.
    GivenUp,
}

impl Trail {
    /// The way of a request whose redirects are none of this server's.
    pub(in crate::serve::response) fn without_hops() -> Self {
        Self {
            first: None,
            hops: 0,
            cookies: Vec::new(),
        }
    }

    /// Takes note of what a next hop would need.
    pub(in crate::serve::response) fn begin(
        asked: &RequestInfo,
        request: &mut Request,
        never: &CookieNames,
    ) -> Self {
        let recorded = Arc::new(Mutex::new(Recorded::default()));
        if request.body().is_end_stream() {
            locked(&recorded).state = Recording::Whole;
        } else {
            let body = std::mem::take(request.body_mut());
            locked(&recorded).announced = body.size_hint().exact();
            let recorded = Arc::clone(&recorded);
            *request.body_mut() = Body::new(Recorder { body, recorded });
        }
        let first = First {
            asked: asked.clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
            body: recorded,
            never_forward_cookies: never.clone(),
        };
        Self {
            first: Some(Arc::new(first)),
            ..Self::without_hops()
        }
    }

    pub(in crate::serve::response) fn has_hops(&self) -> bool {
        self.hops > 0
    }

    /// The hop that a redirect asks for.
    pub(super) fn hop(
        &self,
        asked: &RequestInfo,
        (status, answered): (StatusCode, &HeaderMap),
        inside: &str,
    ) -> Result<Hop, NotFollowed> {
        let first = self.first.as_ref().ok_or(NotFollowed::Path)?;
        if self.hops >= MOST_HOPS {
            return Err(NotFollowed::TooMany);
        }
        if !self.has_room_for(answered) {
            return Err(NotFollowed::Cookies);
        }
        let method = method_after(status, &asked.method);
        let body = if method == asked.method && !matches!(method, Method::GET | Method::HEAD) {
            Some(locked(&first.body).whole().ok_or(NotFollowed::Body)?)
        } else {
            None
        };
        let inside = inside.split('#').next().unwrap_or_default();
        let asked = asked.at(method, inside).map_err(|_| NotFollowed::Path)?;
        Ok(Hop {
            asked,
            body,
            first: Arc::clone(first),
        })
    }

    fn has_room_for(&self, answered: &HeaderMap) -> bool {
        let set = answered.get_all(header::SET_COOKIE).iter();
        let mut bytes = 0;
        let all = self.cookies.iter().chain(set).take(MAX_COOKIES + 1);
        let count = all.map(|cookie| bytes += cookie.len()).count();
        count <= MAX_COOKIES && bytes <= MAX_COOKIE_BYTES
    }

    /// Keeps the cookies of an answer that is not passed on.
    pub(super) fn collect(&mut self, answered: &HeaderMap) {
        self.cookies
            .extend(answered.get_all(header::SET_COOKIE).iter().cloned());
        self.hops += 1;
    }

    /// The request of a hop.
    pub fn request(&self, hop: Hop) -> Box<Request> {
        let first = hop.first;
        let mut request = Request::new(hop.body.map(Body::from).unwrap_or_default());
        *request.method_mut() = hop.asked.method.clone();
        *request.uri_mut() = first.uri.clone();
        *request.version_mut() = first.version;
        *request.headers_mut() = first.headers.clone();
        let headers = request.headers_mut();
        if hop.asked.method != first.asked.method {
            CONTENT_HEADERS
                .iter()
                .for_each(|name| drop(headers.remove(name)));
        }
        headers.remove(header::EXPECT);
        if let Some(cookies) = jar(&first.headers, &self.cookies, &first.never_forward_cookies) {
            headers.insert(header::COOKIE, cookies);
        }
        Box::new(request)
    }

    /// Hands out the cookies of all hops with the last answer, whose own come last.
    pub(in crate::serve::response) fn hand_out(&self, headers: &mut HeaderMap) {
        if self.cookies.is_empty() {
            return;
        }
        let last: Vec<HeaderValue> = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .cloned()
            .collect();
        headers.remove(header::SET_COOKIE);
        for cookie in self.cookies.iter().chain(&last) {
            headers.append(header::SET_COOKIE, cookie.clone());
        }
    }
}

/// What describes a body, which a hop without one does not have (RFC 9110 section 15.4).
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
        StatusCode::SEE_OTHER if method != Method::HEAD => Method::GET,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if method == Method::POST => Method::GET,
        _ => method.clone(),
    }
}

/// The `Cookie` of a next hop: what the caller sent, with what the hops have set since, the last of each name.
fn jar(sent: &HeaderMap, set: &[HeaderValue], never: &CookieNames) -> Option<HeaderValue> {
    // Named as a browser would send it.
    let pairs: Vec<(Vec<u8>, bool)> = set.iter().map(|set| read(set, never)).collect();
    let last: HashMap<&[u8], usize> = pairs
        .iter()
        .enumerate()
        .map(|(at, (pair, _))| (name_of(pair), at))
        .collect();
    let pairs_sent = sent
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty() && !last.contains_key(name_of(pair)));
    let pairs_set = pairs
        .iter()
        .enumerate()
        .filter(|(at, (pair, is_over))| !is_over && last[name_of(pair)] == *at)
        .map(|(_, (pair, _))| pair.as_slice());
    let jar: Vec<&[u8]> = pairs_sent.chain(pairs_set).collect();
    if jar.is_empty() {
        return None;
    }
    HeaderValue::from_bytes(&jar.join(&b"; "[..])).ok()
}

/// The pair of a `Set-Cookie`, and whether it takes the cookie back.
fn read(cookie: &HeaderValue, never: &CookieNames) -> (Vec<u8>, bool) {
    let mut parts = cookie
        .as_bytes()
        .split(|byte| *byte == b';')
        .map(<[u8]>::trim_ascii);
    let pair = renamed(parts.next().unwrap_or_default(), never);
    (pair, parts.any(ends_it))
}

fn name_of(pair: &[u8]) -> &[u8] {
    let end = pair.iter().position(|byte| *byte == b'=');
    &pair[..end.unwrap_or(0)]
}

/// `Max-Age=0` and below is how a cookie is taken back within one chain of redirects.
fn ends_it(attribute: &[u8]) -> bool {
    let (name, value) = (
        name_of(attribute),
        attribute.rsplit(|byte| *byte == b'=').next(),
    );
    let is_over = value.is_some_and(|value| value == b"0" || value.starts_with(b"-"));
    name.eq_ignore_ascii_case(b"max-age") && is_over
}

fn locked(recorded: &Mutex<Recorded>) -> std::sync::MutexGuard<'_, Recorded> {
    recorded.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorded {
    fn note(&mut self, chunk: &Bytes) {
        self.length += chunk.len();
        if self.length > REPLAYED_BODY {
            self.give_up();
        } else if self.state == Recording::Running {
            self.chunks.push(chunk.clone());
            if self.announced == Some(self.length as u64) {
                self.state = Recording::Whole;
            }
        }
    }

    fn give_up(&mut self) {
        self.state = Recording::GivenUp;
        self.chunks = Vec::new();
    }

    fn whole(&self) -> Option<Bytes> {
        (self.state == Recording::Whole).then(|| self.chunks.concat().into())
    }
}

/// A body that is passed on as it comes, and kept while it is short.
struct Recorder {
    body: Body,
    recorded: Arc<Mutex<Recorded>>,
}

impl HttpBody for Recorder {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let is_last = self.body.is_end_stream();
        let mut recorded = locked(&self.recorded);
        match &frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(chunk) => recorded.note(chunk),
                None => recorded.give_up(),
            },
            Some(Err(_)) => recorded.give_up(),
            None => {}
        }
        if (frame.is_none() || is_last) && recorded.state == Recording::Running {
            recorded.state = Recording::Whole;
        }
        drop(recorded);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
    fn cookies_of_hops_join_those_that_were_sent() {
        let value = |text: &str| HeaderValue::try_from(text).unwrap();
        let sent = HeaderMap::from_iter([(header::COOKIE, value("a=1; b=2"))]);
        let set = [
            value("b=3; Path=/; HttpOnly"),
            value("c=4"),
            value("a=; Max-Age=0"),
            value("c=5; max-age=60"),
        ];
        let never = CookieNames::default();
        assert_eq!(jar(&sent, &set, &never), Some(value("b=3; c=5")));
        assert_eq!(jar(&HeaderMap::new(), &[], &never), None);
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
        let mut trail = Trail::without_hops();
        assert!(trail.has_room_for(&headers(MAX_COOKIES, 10)));
        assert!(!trail.has_room_for(&headers(MAX_COOKIES + 1, 10)));
        assert!(trail.has_room_for(&headers(16, 1024)));
        assert!(!trail.has_room_for(&headers(16, 1025)));
        trail.collect(&headers(30, 10));
        assert!(trail.has_room_for(&headers(MAX_COOKIES - 30, 10)));
        assert!(!trail.has_room_for(&headers(MAX_COOKIES - 29, 10)));
    }

    #[test]
    fn a_cookie_of_a_hop_that_travels_under_another_name_goes_along() {
        let sent = HeaderMap::from_iter([(
            header::COOKIE,
            HeaderValue::from_static("Throughway-Host-id=1"),
        )]);
        let set = [
            HeaderValue::from_static("__Host-id=2; Secure; Path=/"),
            HeaderValue::from_static("argocd.token=3"),
        ];
        let expected =
            HeaderValue::from_static("Throughway-Host-id=2; Throughway-Own-argocd.token=3");
        let never = ["argocd.token".to_owned()].into_iter().collect();
        assert_eq!(jar(&sent, &set, &never), Some(expected));
    }
}

//! What `throughway local` and the server say to each other, so that what a browser sends to a target's own origin
//! arrives as it was sent, and the response too, whatever kube-apiserver and kube-aggregator do to headers on the way.
//!
//! `Throughway-Origin` names the origin at which the target is seen. Each header of the request then travels as
//! `Throughway-Request-NAME`, each of the backend's response as `Throughway-Response-NAME`, and a response that came
//! from the backend carries `Throughway-Origin` again. What belongs to one connection or frames a body stays outside
//! and is never read from inside: an envelope can't smuggle a request (RFC 9112 section 11.2). Credentials and
//! `Impersonate-*` of a page are inside, where kube-apiserver does not see them and the server's own rules take
//! identities away.
//!
//! A method that Kubernetes has no verb for (WebDAV's `PROPFIND`, `OPTIONS`) goes before the path in `Throughway-Path`,
//! as in a request line, and the request is a `POST` to everybody on the way: it takes the right `create`. A server
//! that does not know of it refuses such a path.
//!
//! A response in an envelope means nothing to a browser that meets it on a shared origin: no cookie, no type but
//! octets.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::protocol::host::is_loopback;

/// The origin at which the browser sees the target; in responses, that they are the backend's.
pub const ORIGIN: HeaderName = HeaderName::from_static("throughway-origin");

const REQUEST: &str = "throughway-request-";
const RESPONSE: &str = "throughway-response-";
const OURS: &str = "throughway-";

/// Headers that stay as they are, outside: of one connection (RFC 9110 section 7.6.1), or about the body's framing.
const OUTSIDE: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Neither goes in nor comes out.
const NOWHERE: [&str; 4] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
];

/// Methods with a verb of their own, which is to be asked for; and those that speak to proxies (RFC 9110 section 9.3).
const NEVER_INSIDE: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE",
];

/// The longest registered method has 17.
const MAX_METHOD_BYTES: usize = 32;

/// A `Throughway-Origin` that is none, or none that users of this server see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "Throughway-Origin is one origin such as http://grafana.monitoring.svc.localhost:8001: loopback, or one that --external-origin lists"
)]
pub struct NoOrigin;

/// The origin at which a browser sees one target and nothing else, such as
/// `http://grafana.monitoring.svc.localhost:8001`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetOrigin {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// With the port where it is not the scheme's own.
    pub host: HeaderValue,
}

/// Whether a method travels inside. Those in lower case don't, as a backend may take them for what they look like.
pub fn is_inside(method: &Method) -> bool {
    let name = method.as_str();
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    name.len() <= MAX_METHOD_BYTES && name.bytes().all(is_plain) && !NEVER_INSIDE.contains(&name)
}

/// Puts a request's headers into an envelope. `host` stays outside, where it is replaced.
pub fn wrap_request(headers: HeaderMap, origin: HeaderValue) -> HeaderMap {
    let mut wrapped = HeaderMap::with_capacity(headers.len() + 4);
    // First, so that the origin is put in last and a header of a page can't stand in its place.
    wrap(headers, REQUEST, &mut wrapped);
    wrapped.insert(ORIGIN, origin);
    wrapped
}

/// Takes a request's headers out of their envelope, if there is one.
///
/// # Errors
/// `Throughway-Origin` is there and is no origin.
pub fn unwrap_request(headers: &mut HeaderMap) -> Result<Option<TargetOrigin>, NoOrigin> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return Ok(None);
    };
    // Two would leave open which of them is meant, and somebody on the way may have added one.
    if origins.next().is_some() {
        return Err(NoOrigin);
    }
    let origin = TargetOrigin::read(origin)?;
    let forwarded_for = HeaderName::from_static("x-forwarded-for");
    // kube-apiserver and kube-aggregator have added to it outside, which a page can't say for them.
    unwrap(headers, REQUEST, |outside| *outside == forwarded_for);
    Ok(Some(origin))
}

/// Puts the headers of a backend's response into an envelope.
pub fn wrap_response(headers: &mut HeaderMap, origin: &TargetOrigin) {
    // All of them, as a name left behind would speak to the browser for the shared origin.
    let before = std::mem::take(headers);
    headers.reserve(before.len() + 4);
    wrap(before, RESPONSE, headers);
    headers.insert(ORIGIN, origin.to_value());
    // After the backend's own are inside: outside, nothing of its type, length of life or cookies may count.
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Takes the headers of a backend's response out of their envelope; false: there is none, the response is somebody
/// else's.
pub fn unwrap_response(headers: &mut HeaderMap) -> bool {
    if !headers.contains_key(ORIGIN) {
        return false;
    }
    // None is kept: whatever was added on the way is about the envelope.
    unwrap(headers, RESPONSE, |_| false);
    true
}

impl TargetOrigin {
    fn read(value: &HeaderValue) -> Result<Self, NoOrigin> {
        let text = value.to_str().map_err(|_| NoOrigin)?;
        let (scheme, host) = text.split_once("://").ok_or(NoOrigin)?;
        let scheme = match scheme {
            "http" => "http",
            "https" => "https",
            _ => return Err(NoOrigin),
        };
        // No user name, path or query, as the text is written into links and headers.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        let is_host = host.bytes().all(is_plain);
        if !is_host || host.parse::<http::uri::Authority>().is_err() {
            return Err(NoOrigin);
        }
        let host = HeaderValue::from_str(host).map_err(|_| NoOrigin)?;
        Ok(Self { scheme, host })
    }

    /// Whether only the machine of the browser can have this origin.
    pub fn is_loopback(&self) -> bool {
        self.host.to_str().is_ok_and(is_loopback)
    }

    fn to_value(&self) -> HeaderValue {
        let text = [self.scheme.as_bytes(), b"://", self.host.as_bytes()].concat();
        HeaderValue::from_bytes(&text).expect("an origin that was read is header text")
    }
}

impl std::fmt::Display for TargetOrigin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = self.host.to_str().unwrap_or_default();
        write!(formatter, "{}://{host}", self.scheme)
    }
}

fn wrap(mut before: HeaderMap, prefix: &str, wrapped: &mut HeaderMap) {
    let mut current = None;
    for (name, value) in before.drain() {
        // Only the first of several values comes with their name.
        if let Some(name) = name {
            current = wrapped_name(name, prefix);
        }
        if let Some(name) = &current {
            wrapped.append(name, value);
        }
    }
}

fn wrapped_name(name: HeaderName, prefix: &str) -> Option<HeaderName> {
    if OUTSIDE.contains(&name) {
        return Some(name);
    }
    // Our own headers don't travel inside, or a page could speak for the companion.
    let text = name.as_str();
    if NOWHERE.contains(&text) || text.starts_with(OURS) {
        return None;
    }
    HeaderName::try_from([prefix, text].concat()).ok()
}

fn unwrap(headers: &mut HeaderMap, prefix: &str, is_kept: impl Fn(&HeaderName) -> bool) {
    let mut before = std::mem::take(headers);
    headers.reserve(before.len());
    let mut current = None;
    for (name, value) in before.drain() {
        if let Some(name) = name {
            current = match name.as_str().strip_prefix(prefix) {
                Some(inside) => unwrapped_name(inside),
                None => Some(name).filter(|name| OUTSIDE.contains(name) || is_kept(name)),
            };
        }
        if let Some(name) = &current {
            headers.append(name, value);
        }
    }
}

fn unwrapped_name(inside: &str) -> Option<HeaderName> {
    // The same rules as on the way in, as whoever packs an envelope need not be the companion.
    let name = HeaderName::try_from(inside).ok()?;
    let stays_inside =
        OUTSIDE.contains(&name) || NOWHERE.contains(&inside) || inside.starts_with(OURS);
    (!stays_inside).then_some(name)
}

#[cfg(test)]
mod tests;

//! Every deliberate change to headers, in both directions.
//!
//! To the backend, in this order: what belongs to one connection goes first, with everything that `Connection` names
//! (RFC 9110 section 7.6.1), so that no caller can make a header of ours go (CVE-2021-31999); then what claims an identity,
//! in any spelling; our own headers come last. What stays keeps its order.
//!
//! | header | what the backend gets | why |
//! |---|---|---|
//! | `Host` | the Service's DNS name with the port, or the pod's or node's address | through the front proxy the caller's never arrives |
//! | `X-Forwarded-For` | what came, and the peer's address | as every proxy does |
//! | `X-Forwarded-Host` | `Host` as the caller sent it, or what the front proxy says | apps build links with it |
//! | `X-Forwarded-Proto` | `https` | this port speaks nothing else |
//! | `X-Forwarded-Uri`, `-Prefix` | the whole path; the path up to `/proxy` | apps that know how to live below a prefix |
//! | `Audit-Id` | a direct caller's own | the front proxy's is no business of the backend |
//! | `Authorization` | a kubelet: this server's own; others: what [`super::login`] makes of the request | the caller's ended at authentication |
//!
//! To the caller: what belongs to one connection goes, and the four CORS headers that would open the API's origin.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Sender;
use crate::authentication::Method;
use crate::endpoint::Endpoint;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// The headers that the backend gets; `authorization` is the one that is meant for it.
pub(super) fn to_backend(
    sender: Sender<'_>,
    endpoint: &Endpoint,
    authority: Option<&str>,
    mut before: HeaderMap,
    authorization: Option<HeaderValue>,
) -> HeaderMap {
    let named = named_by_connection(&before);
    let forwarded_for = forwarded_for(&before, sender);
    let via_front_proxy = sender.permit.caller().method == Method::FrontProxy;
    let forwarded_host = forwarded_host(&before, authority, via_front_proxy);
    let trailers = accepts_trailers(&before);
    let mut headers = HeaderMap::with_capacity(before.len() + 8);
    headers.insert(header::HOST, endpoint.host.clone());
    keep(&mut before, &mut headers, |name| {
        let is_front_proxys_own = via_front_proxy && name.as_str() == "audit-id";
        let is_replaced = *name == header::HOST || is_ours_or_an_identity(name);
        !is_hop_by_hop(name, &named) && !is_replaced && !is_front_proxys_own
    });
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(authorization) = authorization {
        headers.insert(header::AUTHORIZATION, authorization);
    }
    headers.insert(X_FORWARDED_FOR, forwarded_for);
    if let Some(host) = forwarded_host {
        headers.insert(X_FORWARDED_HOST, host);
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    let asked = sender.permit.asked();
    for (name, text) in [
        (X_FORWARDED_URI, asked.uri().path()),
        (X_FORWARDED_PREFIX, asked.prefix()),
    ] {
        headers.insert(
            name,
            HeaderValue::from_str(text).expect("a path that was read is header text"),
        );
    }
    headers
}

/// The headers that the caller gets of the backend's answer.
pub(super) fn to_caller(headers: &mut HeaderMap) {
    let named = named_by_connection(headers);
    // A length beside chunks means nothing (RFC 9112 section 6.3), and would be believed by the next hop.
    let is_chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let is_kept = |name: &HeaderName| {
        let is_false_length = is_chunked && *name == header::CONTENT_LENGTH;
        !is_hop_by_hop(name, &named) && !is_cross_origin(name) && !is_false_length
    };
    if headers.keys().all(is_kept) {
        return;
    }
    let mut before = std::mem::take(headers);
    headers.reserve(before.len());
    keep(&mut before, headers, is_kept);
}

/// Moves what is to stay, in its order.
fn keep(before: &mut HeaderMap, after: &mut HeaderMap, is_kept: impl Fn(&HeaderName) -> bool) {
    let mut current = None;
    for (name, value) in before.drain() {
        // Only the first of several values comes with their name.
        if let Some(name) = name {
            current = Some(name).filter(&is_kept);
        }
        if let Some(name) = &current {
            after.append(name, value);
        }
    }
}

/// Headers of one connection. `Trailer` is none: the trailers are passed on.
fn is_hop_by_hop(name: &HeaderName, named: &[String]) -> bool {
    let name = name.as_str();
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    ) || named.iter().any(|listed| listed == name)
}

/// Headers that would let other origins read what the API's origin may.
fn is_cross_origin(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "access-control-allow-origin"
            | "access-control-allow-methods"
            | "access-control-allow-headers"
            | "access-control-allow-credentials"
    )
}

/// The header names that `Connection` lists, in one line or many, but for its own words, which are on no other line.
fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let is_a_name = |token: &&[u8]| {
        let own: [&[u8]; 4] = [b"", b"close", b"keep-alive", b"upgrade"];
        !own.iter().any(|word| word.eq_ignore_ascii_case(token))
    };
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(is_a_name)
        .map(|token| {
            String::from_utf8_lossy(token)
                .trim_matches('"')
                .to_ascii_lowercase()
        })
        .collect()
}

/// Headers that only this server or nobody may set, however they are spelled: some backends read `_` as `-`.
fn is_ours_or_an_identity(name: &HeaderName) -> bool {
    let name = name.as_str();
    let plain: Cow<'_, str> = if name.contains('_') {
        name.replace('_', "-").into()
    } else {
        name.into()
    };
    if plain.starts_with("x-remote-") || plain.starts_with("impersonate-") {
        return true;
    }
    matches!(
        &*plain,
        "authorization"
            | "proxy-authorization"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-proto"
            | "x-forwarded-uri"
            | "x-forwarded-prefix"
            | "http2-settings"
    )
}

fn forwarded_for(headers: &HeaderMap, sender: Sender<'_>) -> HeaderValue {
    let own = sender.peer.address_text();
    if !headers.contains_key(X_FORWARDED_FOR) {
        return own.clone();
    }
    let mut list: Vec<u8> = Vec::new();
    for value in headers.get_all(X_FORWARDED_FOR) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(own.as_bytes());
    HeaderValue::from_bytes(&list).expect("values joined by commas are a value")
}

fn forwarded_host(
    headers: &HeaderMap,
    authority: Option<&str>,
    via_front_proxy: bool,
) -> Option<HeaderValue> {
    let said = headers.get(X_FORWARDED_HOST).filter(|_| via_front_proxy);
    said.or_else(|| headers.get(header::HOST))
        .cloned()
        .or_else(|| HeaderValue::from_str(authority?).ok())
}

/// `TE: trailers` is the one thing of `TE` that a proxy can promise.
fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::TE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

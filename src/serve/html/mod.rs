//! Pages, style sheets and web app manifests: their URLs lead through the proxy again.
//!
//! In: a response of a backend, and how to treat it. Out: the same response, whose body is rewritten while it streams.
//!
//! # What is rewritten
//!
//! - `text/html`: every attribute that browsers take for a URL (`attributes`), `<base>`, `<meta http-equiv=refresh>`,
//!   `style` elements and attributes, SVG, import maps, documents in `srcdoc`, what stands in `<noscript>` and
//!   `<template>`.
//! - `text/css`: `url()`, `@import`, `image-set()` (`css`).
//! - Web app manifests, by their type or their name (`manifest`).
//! - JavaScript that a worker begins with gets a line of the page helper's put first.
//!
//! Only root-absolute URLs change, and absolute ones that name the backend (`links`); all else stays byte for byte.
//!
//! # What is not
//!
//! JSON that is sent as `text/html` to somebody who does not navigate. Responses to HEAD, 204, 206, 304 and other
//! statuses without a whole body; other types, XHTML and standalone SVG among them; encodings that aren't known, and
//! several of them; charsets in which ASCII isn't ASCII (UTF-16, ISO-2022-JP). Scripts and what they build are the page
//! helper's business. Not touched either: a policy in `<meta>`, speculation rules, `data-*`, custom elements, `srcdoc`
//! with references that aren't known here, XML's `xml-stylesheet`.
//!
//! Where tags are broken so that an end tag from outside closes an SVG or MathML element, text that follows in it may
//! be taken for markup, as only a parser with a whole tree could tell; a URL in that text is mapped then.
//!
//! # What else changes
//!
//! The bytes do, so `Content-Length`, digests and `Accept-Ranges` go and an `ETag` becomes weak. `integrity` of a style
//! sheet inside the target is emptied, as the sheet itself may change.
//!
//! Memory is bounded per page (`PageLimits`). Past the bound of a page's parser the rest passes as it came; past that
//! of decoded bytes the body ends with an error that says so.

mod attributes;
mod body;
pub(super) mod budget;
mod charset;
mod css;
mod encoding;
mod json;
pub(super) mod links;
mod manifest;
mod media_type;
mod page;
mod rewriter;
mod source;
mod steps;
mod treatment;
mod value;
mod window;

use std::sync::Arc;

use axum::body::Body;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue,
};
use http::{Method, StatusCode};

pub(super) use treatment::{Injection, PageLimits, PageTreatment, Sniffing};

use crate::protocol::status::Response;
use body::RewrittenBody;
use encoding::Encoding;
use rewriter::Rewriter;
use steps::step;

/// Fields that say something of the very bytes of a body.
const OF_THE_BYTES: [&str; 6] = [
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "want-content-digest",
    "want-repr-digest",
];

/// Rewrites a response's body if it is one of those that are rewritten.
pub(super) fn rewrite(response: Response, how: &PageTreatment) -> Response {
    // First what has no body or only a part of one: there is nothing to be rewritten.
    if !has_whole_body(&how.method, response.status(), response.headers()) {
        return response;
    }
    let Some(encoding) = Encoding::of(response.headers()) else {
        return response;
    };
    // Before the head changes: a body that stays must keep its length and its tags.
    let Some(rewriter) = Rewriter::of(response.headers(), how) else {
        return response;
    };
    let (mut head, body) = response.into_parts();
    bytes_change(&mut head.headers);
    let step = step(&how.links);
    let body = RewrittenBody::new(
        body,
        encoding,
        rewriter,
        step,
        (how.limits.decoded, Arc::clone(&how.budget)),
    );
    Response::from_parts(head, Body::new(body))
}

/// Writes `text/html` as `Text/html`. It means the same (RFC 9110 section 8.3.1), but kube-aggregator, which rewrites
/// the URLs of a page to addresses that no browser reaches, compares it as it is written.
pub(super) fn hide_from_aggregator(headers: &mut HeaderMap) {
    for (name, value) in headers.iter_mut() {
        // It looks at the first line alone and for the begin alone. Each keeps its place, so the one that counts still
        // does.
        if *name != CONTENT_TYPE || !begins_as_html(value.as_bytes()) {
            continue;
        }
        let hidden = [
            b"Text/html",
            &value.as_bytes().trim_ascii_start()[HTML.len()..],
        ]
        .concat();
        if let Ok(hidden) = HeaderValue::from_bytes(&hidden) {
            *value = hidden;
        }
    }
}

const HTML: &[u8] = b"text/html";

/// Whether the first type of a line is that of a page, even if another one counts.
fn begins_as_html(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let (begin, rest) = line.split_at(line.len().min(HTML.len()));
    begin.eq_ignore_ascii_case(HTML) && rest.first().is_none_or(|byte| b"; \t,".contains(byte))
}

/// Whether a response is one of those that pages consist of and that are rewritten, as far as its type says it.
pub(super) fn is_of_a_page(headers: &HeaderMap, path: &str) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let counts = media_type::of(headers);
    counts.is_some_and(|value| rewriter::is_rewritten(value, path))
        // kube-aggregator would rewrite it.
        || lines.any(|line| begins_as_html(line.as_bytes()))
}

/// Whether a response is a script.
pub(super) fn is_script(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE);
    media_type.is_some_and(|value| rewriter::is_script(value.as_bytes()))
}

/// Whether a response is a page.
pub(super) fn is_html(headers: &HeaderMap) -> bool {
    media_type::of(headers).is_some_and(starts_with_html)
}

fn starts_with_html(media_type: &[u8]) -> bool {
    media_type::essence(media_type).eq_ignore_ascii_case(HTML)
}

fn has_whole_body(method: &Method, status: StatusCode, headers: &HeaderMap) -> bool {
    method != Method::HEAD
        && !status.is_informational()
        && !matches!(
            status,
            StatusCode::NO_CONTENT
                | StatusCode::RESET_CONTENT
                | StatusCode::PARTIAL_CONTENT
                | StatusCode::NOT_MODIFIED
        )
        && !headers.contains_key(CONTENT_RANGE)
}

fn bytes_change(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    for name in OF_THE_BYTES {
        headers.remove(HeaderName::from_static(name));
    }
    let strong = headers
        .get(ETAG)
        .map(HeaderValue::as_bytes)
        .filter(|tag| tag.starts_with(b"\""));
    // Weak, as the bytes are others though the meaning is the same (RFC 9110 section 8.8.1).
    if let Some(tag) = strong {
        let weak = [b"W/", tag].concat();
        if let Ok(weak) = HeaderValue::from_bytes(&weak) {
            headers.insert(ETAG, weak);
        }
    }
}

#[cfg(test)]
pub(super) mod cost;
#[cfg(test)]
pub(crate) mod tests;

//! Whole responses: which are rewritten, and what becomes of their heads. [`encodings`] has their bodies,
//! [`constructs`] what is done within a page, [`tree`] that it is still the same page.

mod bombs;
mod bounds;
mod constructs;
mod encodings;
pub(crate) mod fuzz;
mod tree;

use http_body_util::BodyExt as _;

use super::budget::Budget;
use super::charset::charset_of;
use super::*;
use crate::serve::html::links::LinkForm;
use crate::serve::html::links::tests::links;

const PAGE: &str = "<!DOCTYPE html><title>é</title><a href='/x'>x</a><img src=/y>";
const REWRITTEN: &str = "<!DOCTYPE html><title>é</title><a href='././x'>x</a><img src=././y>";

fn treatment() -> PageTreatment {
    PageTreatment {
        method: Method::GET,
        sniffing: Sniffing::Off,
        links: links("/", LinkForm::Relative),
        prologue: None,
        injection: None,
        limits: PageLimits::default(),
        budget: Budget::new(budget::MAX_TOTAL),
    }
}

fn backend_response(headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    for (name, value) in headers {
        response.headers_mut().append(
            HeaderName::try_from(*name).unwrap(),
            HeaderValue::try_from(*value).unwrap(),
        );
    }
    response
}

fn all_headers(response: &Response) -> Vec<String> {
    let headers = response.headers().iter();
    headers
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect()
}

async fn bytes(response: Response) -> Result<Vec<u8>, axum::Error> {
    Ok(response.into_body().collect().await?.to_bytes().to_vec())
}

#[tokio::test]
async fn only_what_the_bytes_change_changes_in_the_head() {
    let headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", "60"),
        ("etag", "\"abc\""),
        ("last-modified", "Tue, 15 Nov 1994 12:45:26 GMT"),
        ("accept-ranges", "bytes"),
        ("content-md5", "x"),
        ("digest", "x"),
        ("content-digest", "x"),
        ("repr-digest", "x"),
        ("want-content-digest", "x"),
        ("want-repr-digest", "x"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("vary", "accept-encoding"),
    ];
    let response = rewrite(backend_response(&headers, PAGE), &treatment());
    let mut kept = all_headers(&response);
    kept.sort_unstable();
    assert_eq!(
        kept,
        [
            "content-type: text/html; charset=utf-8",
            "etag: W/\"abc\"",
            "last-modified: Tue, 15 Nov 1994 12:45:26 GMT",
            "set-cookie: a=b",
            "set-cookie: c=d",
            "vary: accept-encoding",
        ]
    );
    let weak = backend_response(&[("content-type", "text/css"), ("etag", "W/\"a\"")], "");
    assert_eq!(rewrite(weak, &treatment()).headers()[ETAG], "W/\"a\"");
}

async fn assert_untouched(
    headers: &[(&str, &str)],
    status: StatusCode,
    method: Method,
    body: &[u8],
) {
    let headers = [
        headers,
        &[
            ("etag", "\"a\""),
            ("accept-ranges", "bytes"),
            ("digest", "x"),
        ],
    ]
    .concat();
    let mut response = backend_response(&headers, body.to_vec());
    *response.status_mut() = status;
    let before = all_headers(&response);
    let how = PageTreatment {
        method: method.clone(),
        injection: Some(Injection {
            html: "<script></script>".into(),
        }),
        ..treatment()
    };
    let response = rewrite(response, &how);
    let case = format!("{method} {status} {headers:?}");
    assert_eq!(all_headers(&response), before, "{case}");
    assert_eq!(bytes(response).await.unwrap(), body, "{case}");
}

#[tokio::test]
async fn what_is_no_whole_page_is_untouched() {
    let html = [("content-type", "text/html"), ("content-length", "60")];
    let page = PAGE.as_bytes();
    assert_untouched(&html, StatusCode::OK, Method::HEAD, b"").await;
    assert_untouched(&html, StatusCode::PARTIAL_CONTENT, Method::GET, page).await;
    assert_untouched(&html, StatusCode::NOT_MODIFIED, Method::GET, b"").await;
    assert_untouched(&html, StatusCode::NO_CONTENT, Method::GET, b"").await;
    let ranged = [html[0], ("content-range", "bytes 0-9/60")];
    assert_untouched(&ranged, StatusCode::OK, Method::GET, page).await;
}

#[tokio::test]
async fn other_types_encodings_and_charsets_are_untouched() {
    let page = PAGE.as_bytes();
    for headers in [
        &[("content-type", "application/json")][..],
        &[("content-type", "text/plain")],
        &[("content-type", "text/javascript")],
        &[("content-type", "image/svg+xml")],
        &[("content-type", "application/xhtml+xml")],
        &[("content-type", "text/htmlx")],
        &[],
        &[
            ("content-type", "text/html"),
            ("content-encoding", "compress"),
        ],
        &[
            ("content-type", "text/html"),
            ("content-encoding", "gzip, br"),
        ],
        &[
            ("content-type", "text/html"),
            ("content-encoding", "gzip"),
            ("content-encoding", "br"),
        ],
        &[("content-type", "text/html; charset=utf-16")],
        &[("content-type", "text/html; charset=\"UTF-16LE\"")],
        &[("content-type", "text/css; charset=iso-2022-jp")],
    ] {
        assert_untouched(headers, StatusCode::OK, Method::GET, page).await;
    }
}

#[tokio::test]
async fn a_page_that_is_marked_as_utf16_keeps_its_bytes() {
    let mut page = vec![0xff, 0xfe];
    page.extend(PAGE.encode_utf16().flat_map(u16::to_le_bytes));
    page.extend_from_slice(b"<a href=/x>");
    let response = rewrite(
        backend_response(&[("content-type", "text/html")], page.clone()),
        &treatment(),
    );
    assert_eq!(bytes(response).await.unwrap(), page);
}

#[tokio::test]
async fn error_pages_are_rewritten_too() {
    for status in [
        StatusCode::NOT_FOUND,
        StatusCode::BAD_GATEWAY,
        StatusCode::FOUND,
    ] {
        let mut response = backend_response(&[("content-type", "Text/HTML")], PAGE);
        *response.status_mut() = status;
        let response = rewrite(response, &treatment());
        assert_eq!(
            bytes(response).await.unwrap(),
            REWRITTEN.as_bytes(),
            "{status}"
        );
    }
}

#[tokio::test]
async fn style_sheets_and_manifests_are_relative_to_themselves() {
    let mut how = treatment();
    how.links = links("/static/site.webmanifest", LinkForm::Relative);
    for (media_type, body, expected) in [
        ("text/css", "a{b:url(/x)}", "a{b:url(../x)}"),
        (
            "application/manifest+json",
            "{\"scope\":\"/\"}",
            "{\"scope\":\"../\"}",
        ),
        (
            "application/json",
            "{\"scope\":\"/\"}",
            "{\"scope\":\"../\"}",
        ),
        ("application/json", "{\"other\":\"/\"}", "{\"other\":\"/\"}"),
        ("application/json", "{\"scope\":\"/\"", "{\"scope\":\"/\""),
    ] {
        let response = rewrite(
            backend_response(&[("content-type", media_type)], body),
            &how,
        );
        let body = bytes(response).await.unwrap();
        assert_eq!(String::from_utf8(body).unwrap(), expected, "{media_type}");
    }
}

#[tokio::test]
async fn a_manifest_beyond_its_bound_passes_as_it_came() {
    let body = format!("{{\"x\":\"{}\",\"scope\":\"/\"}}", "x".repeat(1024 * 1024));
    let response = backend_response(
        &[("content-type", "application/manifest+json")],
        body.clone(),
    );
    let response = rewrite(response, &treatment());
    assert_eq!(bytes(response).await.unwrap(), body.as_bytes());
}

#[test]
fn html_is_written_so_that_the_aggregator_does_not_see_it() {
    for (before, after) in [
        ("text/html", "Text/html"),
        ("text/html; charset=utf-8", "Text/html; charset=utf-8"),
        ("TEXT/HTML;charset=x", "Text/html;charset=x"),
        ("text/plain", "text/plain"),
        ("text/htmlx", "text/htmlx"),
    ] {
        let mut headers = backend_response(&[("content-type", before)], "")
            .headers()
            .clone();
        hide_from_aggregator(&mut headers);
        assert_eq!(headers[CONTENT_TYPE], after);
    }
}

#[test]
fn the_charset_of_a_media_type_is_found() {
    for (media_type, charset) in [
        ("text/html", None),
        ("text/html; charset=utf-8", Some("utf-8")),
        ("text/html;boundary=x; Charset = \"GBK\"", Some("GBK")),
        ("text/html; charset", None),
        ("text/html; xcharset=utf-8", None),
    ] {
        let found = charset_of(media_type.as_bytes());
        assert_eq!(found, charset.map(str::as_bytes), "{media_type}");
    }
}

#[tokio::test]
async fn a_workers_script_begins_with_what_is_put_first_and_stays_strict() {
    let how = PageTreatment {
        prologue: Some("first();"),
        ..treatment()
    };
    let rewritten = async |kind: &str, script: &'static str| {
        let response = rewrite(backend_response(&[("content-type", kind)], script), &how);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    for kind in [
        "text/javascript; charset=utf-8",
        "application/javascript",
        "Text/JavaScript",
    ] {
        assert_eq!(rewritten(kind, "own();\n").await, "first();own();\n");
    }
    assert_eq!(
        rewritten("text/javascript", "\n'use strict';own()").await,
        "\"use strict\";first();\n'use strict';own()"
    );
    assert_eq!(rewritten("application/json", "{}").await, "{}");
    assert_eq!(rewritten("text/javascript", "").await, "first();");
}

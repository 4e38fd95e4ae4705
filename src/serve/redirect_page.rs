//! A redirect as a page: what a browser that navigates gets in the place of `Location`.
//!
//! kube-aggregator refuses every 3xx with a `Location` (CVE-2022-3172), but passes one with `Refresh`, which browsers
//! follow at once, whatever the status, with GET, and with the fragment of the address they came from. The page is for
//! those who turned that off. It loads nothing and runs nothing.
//!
//! `Refresh`: <https://html.spec.whatwg.org/multipage/document-lifecycle.html#the-refresh-header>.

use std::fmt::Write;

use axum::body::Body;
use http::{HeaderName, HeaderValue, header};

use crate::protocol::html_escape::escaped;
use crate::protocol::status::Response;

const REFRESH: HeaderName = HeaderName::from_static("refresh");

/// Makes a redirect a page that leads to `target`; its status and its other headers stay.
pub(super) fn leading_to(target: &str, response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    let target = ascii(target);
    let refresh =
        HeaderValue::try_from(format!("0; url={target}")).expect("an escaped URL is header text");
    // kube-aggregator would make a 502 of the response with it.
    parts.headers.remove(header::LOCATION);
    parts.headers.insert(REFRESH, refresh);
    fill(
        parts,
        &page(&format!(
            "Go on to <a href=\"{0}\">{0}</a>.",
            escaped(&target)
        )),
    )
}

/// A page that says why it leads nowhere.
pub(super) fn leading_nowhere(why: &str, response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::LOCATION);
    fill(parts, &page(&escaped(why)))
}

fn fill(mut parts: http::response::Parts, page: &str) -> Response {
    // All of these speak of the backend's own body, which is gone.
    for name in [
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
        header::TRAILER,
        header::ETAG,
        header::LAST_MODIFIED,
        header::ACCEPT_RANGES,
        header::CONTENT_SECURITY_POLICY,
    ] {
        parts.headers.remove(name);
    }
    for (name, value) in [
        // Capital letter, or kube-aggregator would rewrite the page (see `html::hide_from_aggregator`).
        (header::CONTENT_TYPE, "Text/html; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ] {
        parts.headers.insert(name, HeaderValue::from_static(value));
    }
    Response::from_parts(parts, Body::from(page.to_owned()))
}

fn page(sentence: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Redirect</title><p>{sentence}</p></html>\n"
    )
}

/// A URL without what ends a header, or what a `Refresh` reads as a quotation.
fn ascii(url: &str) -> String {
    let mut text = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            // A quotation mark ends the URL of a `Refresh` (HTML standard, "shared declarative refresh steps").
            b'"' | b'\'' | b'<' | b'>' | b'`' | 0..=b' ' | 0x7f.. => {
                write!(text, "%{byte:02X}").expect("a String takes everything");
            }
            plain => text.push(char::from(plain)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn no_url_breaks_out_of_header_or_page() {
        for target in [
            "./a\"><script>alert(1)</script>",
            "./a' onload='x",
            "./a\r\nSet-Cookie: b=c",
            "./\u{2028}ü&amp;",
        ] {
            let response = leading_to(target, Response::default());
            let refresh = response.headers()[REFRESH].to_str().unwrap().to_owned();
            assert!(!refresh.contains(['"', '\'', '<', '\r', '\n']), "{refresh}");
            let page = response.into_body().collect().await.unwrap().to_bytes();
            let page = String::from_utf8(page.to_vec()).unwrap();
            assert!(
                !page.contains("<script>") && !page.contains("onload='"),
                "{page}"
            );
            assert_eq!(page.matches("<a href=\"").count(), 1);
        }
    }
}

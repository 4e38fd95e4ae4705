//! What a browser says about the page that makes a request: the Fetch Metadata request headers. Pure.
//!
//! In: the head of a request. Out: a [`Site`], and whether the request is a link. No page can set these headers, and
//! programs send none of them. A header that comes twice says nothing that can be believed, so it reads as another
//! site's.
//!
//! <https://www.w3.org/TR/fetch-metadata/>. The handshake of a WebSocket has `Origin` only, in most browsers.

use http::{HeaderMap, HeaderName, Method, header};

/// Where the page is that makes a request.
pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
pub const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
pub const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Who makes a request, by `Sec-Fetch-Site`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// A page of the origin that the request goes to.
    SameOrigin,
    /// The user: address bar, bookmark.
    User,
    /// A page of another origin: `same-site`, `cross-site`, and whatever is not known.
    Other,
    /// A program, an old browser, an origin without TLS that is not loopback, or a WebSocket.
    Unsaid,
}

impl Site {
    pub fn of(headers: &HeaderMap) -> Self {
        match line(headers, &SEC_FETCH_SITE) {
            Some("same-origin") => Self::SameOrigin,
            Some("none") => Self::User,
            Some(_) => Self::Other,
            // Only a header that is not there says nothing; an empty or doubled one reads as another site's.
            None => Self::Unsaid,
        }
    }
}

/// What becomes of requests that a page of another site makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CrossSitePolicy {
    Refuse,
    /// As kubectl proxy and the built-in proxy do.
    Allow,
}

/// Whether a request says anything of a page that makes it: all that [`Site`], `Origin` and `Referer` may tell.
/// Programs don't, and then nobody needs to look for each of these.
pub fn tells_of_a_page(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| match *name {
        header::ORIGIN | header::REFERER => true,
        _ => name.as_str().starts_with("sec-fetch-"),
    })
}

/// Whether a request shows a page in a window of its own and changes nothing: a link or a redirect. Frames are no
/// links.
pub fn is_link(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
        && line(headers, &SEC_FETCH_MODE) == Some("navigate")
        && line(headers, &SEC_FETCH_DEST) == Some("document")
        // A WebSocket is no link, whatever its mode says.
        && !headers.contains_key(header::UPGRADE)
}

/// The text of a header that browsers send once; empty if it came twice or is no text.
pub fn line<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    if lines.next().is_some() {
        return Some("");
    }
    Some(first.to_str().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_site_is_what_the_browser_says_once() {
        for (lines, site) in [
            (&[][..], Site::Unsaid),
            (&[("sec-fetch-site", "same-origin")], Site::SameOrigin),
            (&[("sec-fetch-site", "none")], Site::User),
            (&[("sec-fetch-site", "same-site")], Site::Other),
            (&[("sec-fetch-site", "cross-site")], Site::Other),
            (&[("sec-fetch-site", "what-comes-next")], Site::Other),
            (&[("sec-fetch-site", "")], Site::Other),
            (
                &[
                    ("sec-fetch-site", "same-origin"),
                    ("sec-fetch-site", "same-origin"),
                ],
                Site::Other,
            ),
        ] {
            assert_eq!(Site::of(&headers(lines)), site, "{lines:?}");
        }
    }

    #[test]
    fn a_link_shows_a_page_in_a_window_of_its_own() {
        let navigation = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert!(is_link(&Method::GET, &headers(&navigation)));
        assert!(is_link(&Method::HEAD, &headers(&navigation)));
        assert!(!is_link(&Method::POST, &headers(&navigation)));
        for (mode, dest) in [
            ("navigate", "iframe"),
            ("navigate", "embed"),
            ("no-cors", "image"),
            ("no-cors", "document"),
            ("websocket", "websocket"),
        ] {
            let lines = [("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            assert!(!is_link(&Method::GET, &headers(&lines)), "{mode} {dest}");
        }
        let mut upgrade = headers(&navigation);
        upgrade.insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
        assert!(!is_link(&Method::GET, &upgrade));
    }
}

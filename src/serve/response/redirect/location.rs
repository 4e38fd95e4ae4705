//! Where a `Location` leads, as a browser resolves it.
//!
//! In: the header's bytes, and the request that it answers. Out: a path inside the target that can be asked for,
//! another place, or nothing, as an empty `Location` is no redirect. Read as the URL standard has it: white space
//! around it and tabs within don't count, a backslash is a slash, bytes that no URL has are escaped, dot segments end
//! at the target's root. So nothing that a browser would take for another host is taken for a path, and no path leaves
//! the target.
//!
//! <https://url.spec.whatwg.org/>: "basic URL parser", "path percent-encode set", "special-query percent-encode set".

use http::HeaderValue;

use crate::serve::api::RequestInfo;
use crate::serve::html::links::{Links, as_browsers_read, is_scheme, without_dots};

/// A longer one is not followed, mapped or shown.
const MAX_LOCATION: usize = 16 * 1024;

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// Path, query and fragment inside the target.
    Inside(String),
    /// Where the request was already, by TLS alone. Mapped, it would lead in a circle.
    SameByTls,
    Elsewhere(String),
    /// It says nothing.
    Nowhere,
    /// Too long, or a place that depends on the scheme of who reads it: `https:/x` is a path to some and a host to
    /// others.
    NotShown,
}

impl Location {
    /// Where the header leads in a response to this request.
    pub(super) fn read(location: &HeaderValue, info: &RequestInfo, links: &Links) -> Self {
        // A place that is not read is not shown either: half of it could be anything.
        if location.len() > MAX_LOCATION {
            return Self::NotShown;
        }
        let text = printable(location.as_bytes());
        let location = as_browsers_read(&text);
        if location.is_empty() {
            return Self::Nowhere;
        }
        // First what leads into the target, whichever way it is written.
        if let Some(inside) = links.inside(&location) {
            let end = inside.find(['?', '#']).unwrap_or(inside.len());
            // As the browser will: a path that leaves the target by dots does not leave it here.
            let path = without_dots(&inside[..end]);
            let inside = escaped(&path, &inside[end..]);
            // An app that asks for TLS of itself would be asked the same again, in a circle.
            return if links.wants_tls(&location) && is_where(info, &inside) {
                Self::SameByTls
            } else {
                Self::Inside(inside)
            };
        }
        // Asked before a path is: `javascript:` is no path either.
        let scheme = location.split_once(':').filter(|(it, _)| is_scheme(it));
        if scheme.is_some_and(|(scheme, rest)| is_ambiguous(scheme, rest)) {
            return Self::NotShown;
        }
        if location.starts_with(['/', '\\']) || scheme.is_some() {
            return Self::Elsewhere(location.into_owned());
        }
        let page = match info.path_inside() {
            "" => "/",
            path => path,
        };
        let end = location.find(['?', '#']).unwrap_or(location.len());
        let (path, rest) = location.split_at(end);
        // No path at all means the page itself, with a new query or fragment.
        if path.is_empty() {
            let query = info.query().filter(|_| !rest.starts_with('?'));
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            return Self::Inside(format!("{page}{query}{}", escaped("", rest)));
        }
        // A browser replaces the last segment, and takes a backslash for a slash.
        let folder = page.rfind(['/', '\\']).map_or("/", |slash| &page[..=slash]);
        let joined = format!("{folder}{path}");
        Self::Inside(escaped(&without_dots(&joined), rest))
    }
}

/// Whether what follows a scheme is no host to a browser whose page has the same scheme.
fn is_ambiguous(scheme: &str, rest: &str) -> bool {
    let is_slash = |byte: Option<&u8>| byte.is_some_and(|byte| b"/\\".contains(byte));
    let has_host = is_slash(rest.as_bytes().first()) && is_slash(rest.as_bytes().get(1));
    let is_web = ["http", "https"]
        .iter()
        .any(|web| scheme.eq_ignore_ascii_case(web));
    is_web && !has_host
}

/// Whether a request was for this path and query.
fn is_where(info: &RequestInfo, inside: &str) -> bool {
    let inside = inside.split('#').next().unwrap_or_default();
    let (path, query) = match inside.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (inside, None),
    };
    let own_path = info.path_inside();
    // `…/proxy` and `…/proxy/` are the same place to a backend.
    let is_root = |path: &str| matches!(path, "" | "/");
    (path == own_path || (is_root(path) && is_root(own_path)))
        && query.unwrap_or_default() == info.query().unwrap_or_default()
}

/// The text of a header; bytes above ASCII, whatever they were meant to be, are escaped.
fn printable(location: &[u8]) -> String {
    let mut text = String::with_capacity(location.len());
    for byte in location {
        match byte {
            0x80.. => escape(*byte, &mut text),
            ascii => text.push(char::from(*ascii)),
        }
    }
    text
}

/// Path, query and fragment without what must be escaped there.
fn escaped(path: &str, rest: &str) -> String {
    let (query, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    let mut text = String::with_capacity(path.len() + rest.len());
    let sets = [
        // Each part has its own set, so that what a browser leaves alone in a query stays as it is there.
        (path, &b"\"<>`{}"[..]),
        (query, b"\"<>'"),
        (fragment, b"\"<>`"),
    ];
    for (part, special) in sets {
        for byte in part.bytes() {
            match byte {
                0..=b' ' | 0x7f.. => escape(byte, &mut text),
                _ if special.contains(&byte) => escape(byte, &mut text),
                plain => text.push(char::from(plain)),
            }
        }
    }
    text
}

fn escape(byte: u8, text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::serve::html::links::LinkForm;
    use crate::serve::html::links::tests::links;
    use crate::serve::response::tests::info;

    fn read(page: &str, location: &[u8]) -> Location {
        let info = info(page);
        let links = links(page, LinkForm::Relative);
        Location::read(&HeaderValue::from_bytes(location).unwrap(), &info, &links)
    }

    #[test]
    fn each_is_read_as_browsers_read_it() {
        let inside = |path: &str| Location::Inside(path.into());
        let elsewhere = |url: &str| Location::Elsewhere(url.into());
        for (location, expected) in [
            (&b"/x y"[..], inside("/x%20y")),
            (b"/{x}?q={y}", inside("/%7Bx%7D?q={y}")),
            ("/ü".as_bytes(), inside("/%C3%BC")),
            (b"/\xfc?\xfc", inside("/%FC?%FC")),
            (b"", Location::Nowhere),
            (b" \t ", Location::Nowhere),
            (b"../../../..", inside("/")),
            (b"../../../../x", inside("/x")),
            (b"..\\..\\..\\x", inside("/x")),
            (b"%2e%2E/%2e./x", inside("/x")),
            (b"/../../x", inside("/x")),
            (b"?a=\"b\"", inside("/a/b?a=%22b%22")),
            (b"#f", inside("/a/b#f")),
            (b"https://web.demo.svc/x", inside("/x")),
            (b"https://web.demo.svc/a/b", Location::SameByTls),
            (
                b"https://WEB.demo.svc.cluster.local:443/a/b#f",
                Location::SameByTls,
            ),
            (b"https://web.demo.svc:8080/a/b", Location::SameByTls),
            (b"https://web.demo.svc/a/b?q", inside("/a/b?q")),
            (b"http://web.demo.svc/a/b", inside("/a/b")),
            (b"\\/\\web.demo.svc\\b", inside("/b")),
            (b"///web.demo.svc/b", inside("/b")),
            (b"\\\\@web.demo.svc\\b", inside("/b")),
            (b"http:\\\\web.demo.svc\\b", inside("/b")),
            (b"https:///web.demo.svc/a/b", Location::SameByTls),
            (b"//evil.example/x", elsewhere("//evil.example/x")),
            (b"///evil.example/x", elsewhere("///evil.example/x")),
            (b"//@evil.example/x", elsewhere("//@evil.example/x")),
            (b"/\\evil.example", elsewhere("/\\evil.example")),
            (b"\\\\evil.example", elsewhere("\\\\evil.example")),
            (b"/\t/evil.example", elsewhere("//evil.example")),
            (b" //evil.example", elsewhere("//evil.example")),
            (b"ht\ttps://evil.example", elsewhere("https://evil.example")),
            (b"javascript:alert(1)", elsewhere("javascript:alert(1)")),
            (b"https:/x", Location::NotShown),
            (b"HTTP:x", Location::NotShown),
            (b"http:\\\\x", elsewhere("http:\\\\x")),
            (b"+a:b", inside("/a/+a:b")),
            (b"a%:b", inside("/a/a%:b")),
            (b"\xe4:b", inside("/a/%E4:b")),
        ] {
            let name = String::from_utf8_lossy(location);
            assert_eq!(read("/a/b", location), expected, "{name:?}");
        }
        let long = "/".repeat(MAX_LOCATION + 1);
        assert_eq!(read("/a/b", long.as_bytes()), Location::NotShown);
    }

    proptest! {
        /// The judge is another implementation of the URL standard, which sees the target as the backend does.
        /// It keeps a drive letter where the standard does so only in `file:` URLs, so no segment here is one.
        #[test]
        fn a_place_is_inside_only_where_browsers_stay_at_the_host(
            location in r#"(/|\\|///|web\.demo\.svc|@|\.\.|\.|%2e|a|bc:|http:|//h|@|\t| |\{|"|\?|#|c|~|\^|`|<){0,8}"#,
        ) {
            let base = url::Url::parse("http://web.demo.svc/a/b?q").unwrap();
            let led = crate::fuzz::joined(&base, &location);
            match read("/a/b?q", location.as_bytes()) {
                Location::Inside(inside) => {
                    let led = led.unwrap();
                    prop_assert_eq!(led.host_str(), Some("web.demo.svc"), "{}", location);
                    let fragment = led.fragment().map(|text| format!("#{text}"));
                    let query = led.query().map(|text| format!("?{text}"));
                    let whole = [led.path(), &query.unwrap_or_default(), &fragment.unwrap_or_default()].concat();
                    prop_assert_eq!(inside, whole, "{:?}", location);
                }
                Location::Nowhere => prop_assert!(location.trim().is_empty()),
                Location::Elsewhere(_) | Location::SameByTls => {}
                Location::NotShown => prop_assert!(location.contains("http:")),
            }
        }
    }
}

//! Links and redirects of a backend, as a browser resolves them: the `url` crate says where a URL leads.
//!
//! The first line of an input is the page that answers, such as `/a/b?q`; the rest is a URL or a `Location`.

use std::sync::LazyLock;

use http::Uri;
use url::Url;

use super::*;
use crate::fuzz::joined;
use crate::serve::app_login::AppLogin;
use crate::serve::authorization::Permit;
use crate::serve::html::links::tests::{PREFIX, links as links_of};
use crate::serve::html::links::{LinkForm, Links};

pub(crate) use super::fuzz_cookies::cookies;

/// Page and text of an input.
fn parts(input: &[u8]) -> Option<(&str, &[u8])> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let page = std::str::from_utf8(&input[..end]).ok()?;
    let uri: Uri = format!("{PREFIX}{page}").parse().ok()?;
    let is_path = page.starts_with('/') && !page.contains('#') && uri.path().starts_with(PREFIX);
    // A backend's own page, as the crate would have it.
    let read = Url::parse(&format!("http://web.demo.svc{page}")).ok()?;
    let is_normal = read[url::Position::BeforePath..] == *page;
    (is_path && is_normal && !has_drive(page)).then_some((page, &input[end + 1..]))
}

/// The crate keeps a drive letter where the standard does so only in `file:` URLs.
pub(crate) fn has_drive(url: &str) -> bool {
    let without = url.replace(['\t', '\n', '\r'], "");
    let mut segments = without.split(['/', '\\', '?', '#']);
    segments.any(|segment| {
        let segment = segment.trim_matches(|one: char| one <= ' ');
        let mut chars = segment.chars();
        let begin = (chars.next(), chars.next(), chars.next());
        matches!(begin, (Some(letter), Some(':' | '|'), None) if letter.is_ascii_alphabetic())
    })
}

/// A URL as browsers begin to read it.
fn trimmed(url: &str) -> String {
    url.trim_matches(|one: char| one <= ' ')
        .replace(['\t', '\n', '\r'], "")
}

/// Browsers take a backslash for a slash.
const SLASHES: [char; 2] = ['/', '\\'];

/// What follows two slashes or more, where a host stands.
fn after_slashes(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(SLASHES);
    (text.len() - rest.len() >= 2).then_some(rest)
}

/// A URL without a scheme of the web, if it has one.
fn after_scheme(url: &str) -> Option<&str> {
    url.strip_prefix("http:").or(url.strip_prefix("https:"))
}

/// A URL of the web without two slashes, which has the scheme of the page and is relative to it. Nobody writes it; it
/// stays as it is.
fn is_bare_scheme(url: &str) -> bool {
    let url = trimmed(url).to_ascii_lowercase();
    after_scheme(&url).is_some_and(|rest| after_slashes(rest).is_none())
}

/// Whether a URL names somebody, or its host otherwise than that is shown then: by escapes, wide letters, an address as
/// one number. No app names itself so, and such a URL may stay.
fn is_odd(url: &str, led: &Url) -> bool {
    let url = trimmed(url).to_ascii_lowercase();
    let Some(rest) = after_slashes(after_scheme(&url).unwrap_or(&url)) else {
        return false;
    };
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let authority = rest[..end].rsplit('@').next();
    let host = authority.and_then(|authority| authority.split(':').next());
    !led.username().is_empty() || led.password().is_some() || host != led.host_str()
}

/// Whether a URL of a page leads to the same place of the target after it was mapped, or stays as it is if it leads
/// elsewhere.
pub(crate) fn leads_the_same(page: &str, before: &str, after: &str) -> bool {
    if has_drive(before) || is_bare_scheme(before) {
        return true;
    }
    if is_relative(before) {
        return before == after;
    }
    let led = joined(&url_of("http://web.demo.svc", page), before);
    let shown = url_of("https://shown.example", &format!("{PREFIX}{page}"));
    match (led, joined(&shown, after)) {
        (Ok(led), Ok(leads)) if is_backend(&led) => {
            let path = without_prefix(led.path());
            let inside = leads.path().strip_prefix(PREFIX);
            let is_same = leads.origin() == shown.origin()
                && inside
                    .is_some_and(|inside| inside == path || (inside.is_empty() && path == "/"))
                && (leads.query(), leads.fragment()) == (led.query(), led.fragment());
            is_same || (before == after && is_odd(before, &led))
        }
        _ => before == after,
    }
}

fn url_of(origin: &str, path: &str) -> Url {
    Url::parse(&format!("{origin}{path}")).expect("it is a path")
}

/// Whether a URL names the backend: by its name with a port that it may have, or by its address.
pub(crate) fn is_backend(led: &Url) -> bool {
    let port = led.port_or_known_default();
    let is_usual = led.port().is_none() || matches!(port, Some(80 | 8080));
    match led.host_str() {
        _ if !matches!(led.scheme(), "http" | "https") => false,
        Some("web.demo.svc" | "web.demo.svc.cluster.local") => is_usual,
        Some("10.77.0.10") => port == Some(8080),
        _ => false,
    }
}

/// Whether a URL is the page's own but for the scheme. There it would lead in a circle, and that is said.
fn is_same_by_tls(page: &str, url: &str) -> bool {
    let Ok(led) = joined(&url_of("http://web.demo.svc", page), url) else {
        return false;
    };
    let page = url_of("http://web.demo.svc", page);
    let query = |url: &Url| url.query().unwrap_or_default().to_owned();
    is_backend(&led)
        && led.scheme() == "https"
        && without_prefix(led.path()) == page.path()
        && query(&led) == query(&page)
}

/// The path of a link that carries the prefix already, as apps write it that know where they live.
fn without_prefix(path: &str) -> &str {
    match path.strip_prefix(PREFIX) {
        Some("") => "/",
        Some(inside) if inside.starts_with('/') => inside,
        _ => path,
    }
}

pub(crate) fn links(input: &[u8]) {
    let Some((page, Ok(url))) = parts(input).map(|(page, url)| (page, std::str::from_utf8(url)))
    else {
        return;
    };
    // An escape may stand for a letter of the prefix.
    if url.contains("%2") || url.contains("%3") || url.contains("%6") || url.contains("%7") {
        let _ = links_of(page, LinkForm::Relative).map(url);
        return;
    }
    // What climbs out of a prefix that it carries stays in the target here, and means another path there.
    let read = trimmed(url);
    if read.contains(PREFIX) && read.contains("..") {
        return;
    }
    let relative = links_of(page, LinkForm::Relative);
    let after = relative.map(url);
    let in_page = relative.map_in_page(url);
    let absolute = links_of(page, LinkForm::Absolute(PREFIX.to_owned())).map(url);
    for after in [after, in_page, absolute] {
        let after = after.as_deref().unwrap_or(url);
        crate::fuzz::not_counted(|| {
            assert!(
                leads_the_same(page, url, after),
                "{page} {url:?} -> {after:?}"
            );
        });
    }
    never_panics(relative, url);
}

fn never_panics(mut links: Links, url: &str) {
    let _ = links.leads_elsewhere(url);
    links.rebase(url);
    for link in ["/x", "x", "../x", url] {
        let mapped = links.map(link);
        assert!(mapped.is_none_or(|mapped| mapped.len() <= link.len() * 3 + links.growth() + 16));
    }
}

pub(crate) fn redirects(input: &[u8]) {
    let Some((page, location)) = parts(input) else {
        return;
    };
    let Ok(value) = HeaderValue::from_bytes(location) else {
        return;
    };
    // Bytes above ASCII are taken as they are.
    let text: String = location
        .iter()
        .fold(String::new(), |text, byte| match byte {
            0x80.. => format!("{text}%{byte:02X}"),
            _ => text + &char::from(*byte).to_string(),
        });
    for (via, header, status) in [
        (DIRECT, "location", 302),
        (DIRECT, "location", 201),
        (BEHIND, "refresh", 307),
    ] {
        let passed = passed(via, page, status, &value);
        let Some(passed) = passed.headers().get(header) else {
            let is_web = |led: Url| matches!(led.scheme(), "http" | "https");
            let base = url_of("http://web.demo.svc", page);
            let is_gone = location.len() > 16_384
                || is_same_by_tls(page, &text)
                || trimmed(&text).is_empty()
                || is_bare_scheme(&text)
                || !joined(&base, &text).is_ok_and(is_web);
            assert!(is_gone, "{text:?} is a place");
            continue;
        };
        let passed = passed.as_bytes();
        let passed = passed.strip_prefix(b"0; url=").unwrap_or(passed);
        let passed: String = passed.iter().fold(String::new(), |text, byte| match byte {
            0x80.. => format!("{text}%{byte:02X}"),
            _ => text + &char::from(*byte).to_string(),
        });
        leads_into_the_target(page, &text, &passed);
    }
}

/// A browser that is told this is where the backend meant, and in no other place of the origin that it sees.
fn leads_into_the_target(page: &str, before: &str, passed: &str) {
    if has_drive(before) || has_drive(passed) || is_same_by_tls(page, before) {
        return;
    }
    let backend = url_of("http://web.demo.svc", page);
    for shown in ["https://shown.example", "http://127.0.0.1:8001"] {
        let base = url_of(shown, &format!("{PREFIX}{page}"));
        let origin = base.origin();
        let (led, leads) = (joined(&backend, before), joined(&base, passed));
        let Ok(leads) = leads else {
            assert!(led.is_err(), "{page}: {before:?} -> {passed:?}");
            continue;
        };
        let Ok(led) = led else { continue };
        if leads.origin() == origin && led.origin() != origin {
            let inside = leads.path().strip_prefix(PREFIX);
            let is_inside =
                inside.is_some_and(|inside| inside.is_empty() || inside.starts_with('/'));
            assert!(
                is_inside,
                "{page}: {before:?} -> {passed:?} leaves the target"
            );
        }
        if is_backend(&led) && !is_bare_scheme(before) && !is_odd(before, &led) {
            let is_same = leads.origin() == origin
                && leads
                    .path()
                    .strip_prefix(PREFIX)
                    .map(plain)
                    .is_some_and(|inside| {
                        // What is relative to a page does not carry the prefix, even if its path looks so.
                        inside == plain(without_prefix(led.path())) || inside == plain(led.path())
                    })
                && leads.query().map(plain) == led.query().map(plain);
            let stays = is_relative(before) && plain(&trimmed(passed)) == plain(&trimmed(before));
            assert!(
                is_same || stays,
                "{page}: {before:?} -> {passed:?}, {leads}"
            );
        }
    }
}

/// Whether a URL names no host, and no path from the root.
fn is_relative(url: &str) -> bool {
    let url = trimmed(url).to_ascii_lowercase();
    !url.starts_with(SLASHES) && after_scheme(&url).is_none()
}

/// Some write an escape where others do not.
fn plain(part: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(part).collect()
}

fn passed(
    via: authentication::Method,
    page: &str,
    status: u16,
    location: &HeaderValue,
) -> Response {
    static REWRITER: LazyLock<ResponseRewriter> = LazyLock::new(rewriter);
    let caller = Caller {
        user: User::default().into(),
        method: via,
    };
    let permit = Permit::for_tests(caller, info(page));
    let headers = lines(&[("sec-fetch-mode", "navigate")]);
    let client = describe(&permit, &headers, &[]);
    let endpoint = endpoint();
    let settings = std::sync::Arc::clone(&endpoint.settings);
    let destination = Destination::for_tests(&permit, settings, Backends::none());
    let mut redirects = REWRITER.redirect_chain();
    redirects.record(&client, &destination, &mut Request::default());
    let context = ResponseContext {
        client: &client,
        login: &AppLogin::Absent,
        permit: &permit,
        endpoint: &endpoint,
    };
    let mut response = backend_response(status, &[], "");
    response
        .headers_mut()
        .append(header::LOCATION, location.clone());
    match REWRITER.apply(context, &mut redirects, response) {
        Rewritten::Done(response) => response,
        Rewritten::Follow(to) => panic!("a document follows by itself: {to:?}"),
    }
}

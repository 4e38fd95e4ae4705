//! What comes back from the cluster for a target's own origin: its cookies stay on the host that set them, and
//! redirects that the built-in proxy changed lead into the origin again.
//!
//! An input is a `Set-Cookie` and, behind a line end, a `Location`.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use url::Url;

use super::built_in::inside;
use super::cookies::keep_at_home;
use crate::fuzz::joined;

const HOST: &str = "app.demo.svc.localhost:8001";
const PREFIX: &str = "/api/v1/namespaces/demo/services/app/proxy";

pub(crate) fn own_origins(input: &[u8]) {
    let (cookie, location) = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &input[..0]),
    };
    if let Ok(set) = HeaderValue::from_bytes(cookie) {
        cookies(&set);
    }
    let location = HeaderValue::from_bytes(location).ok();
    if let Some(Ok(location)) = location.as_ref().map(HeaderValue::to_str) {
        redirects(location);
    }
}

/// Attributes as browsers read them: names in small letters, no white space around either (RFC 6265bis section 5.6).
fn attributes(cookie: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let attribute = |part: &[u8]| {
        let mut halves = part.splitn(2, |byte| *byte == b'=');
        let mut half = || halves.next().unwrap_or_default().trim_ascii().to_vec();
        (half().to_ascii_lowercase(), half())
    };
    let parts = cookie.split(|byte| *byte == b';').skip(1);
    parts.map(attribute).collect()
}

fn cookies(set: &HeaderValue) {
    let mut headers = HeaderMap::from_iter([(SET_COOKIE, set.clone())]);
    keep_at_home(&mut headers, HOST);
    let kept = headers[SET_COOKIE].as_bytes();
    let is_domain = |name: &[u8]| name == b"domain";
    let own = b"app.demo.svc.localhost";
    let all = attributes(kept);
    for (_, domain) in all.iter().filter(|(name, _)| is_domain(name)) {
        let domain = domain.strip_prefix(b".").unwrap_or(domain);
        assert!(domain.eq_ignore_ascii_case(own), "{kept:?} goes to others");
    }
    let others = |attributes: Vec<(Vec<u8>, Vec<u8>)>| -> Vec<_> {
        let is_other = |(name, _): &(Vec<u8>, Vec<u8>)| !is_domain(name);
        attributes.into_iter().filter(is_other).collect()
    };
    assert_eq!(others(all), others(attributes(set.as_bytes())));
    let pair = |cookie: &[u8]| {
        cookie
            .split(|byte| *byte == b';')
            .next()
            .map(<[u8]>::to_vec)
    };
    assert_eq!(pair(kept), pair(set.as_bytes()));
}

/// The built-in proxy puts its own path before that of a redirect into the target. Undone, it is the target's own
/// again.
fn redirects(location: &str) {
    let origin = Url::parse(&format!("http://{HOST}/")).unwrap();
    let now = inside(location, PREFIX, HOST);
    let (Ok(before), Ok(after)) = (joined(&origin, location), joined(&origin, &now)) else {
        return;
    };
    // Nothing around a URL is read, and no tabs within.
    let read = location.trim_matches(|one: char| one <= ' ');
    let read = read.replace('\t', "");
    // What climbs out of the prefix is at the target's own origin with it and without it.
    if read.contains("/.") || read.contains("\\.") || read.contains('%') {
        return;
    }
    if !before.origin().is_tuple() {
        assert_eq!(now, location);
        return;
    }
    assert_eq!(before.origin(), after.origin(), "{location:?} -> {now:?}");
    let inside = before.path().strip_prefix(PREFIX);
    let inside = inside.filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_proxys = before.origin() == origin.origin()
        && inside.is_some()
        && ["", "//", "http://", "https://"].iter().any(|begin| {
            let origin = if begin.is_empty() { "" } else { HOST };
            read.starts_with(&format!("{begin}{origin}{PREFIX}"))
        });
    match inside.filter(|_| is_proxys) {
        Some("") => assert_eq!(after.path(), "/"),
        Some(inside) => assert_eq!(after.path(), inside),
        None => assert_eq!(now, location),
    }
    assert_eq!(after.query(), before.query());
}

//! Cookies of a backend, as a browser keeps them and sends them back, by a reader written from RFC 6265bis section 5.6:
//! they are set for the target alone, and what comes back is for the backend what it has set.
//!
//! An input is a `Set-Cookie`.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::serve::html::links::tests::PREFIX;
use crate::serve::response::cookies::{TargetPaths, confine};

/// What a server in front of the API has as its own path.
const FRONT: &str = "/k8s/clusters/c-1";

/// A cookie as a browser keeps it.
#[derive(Debug, PartialEq)]
struct Cookie {
    name: Vec<u8>,
    value: Vec<u8>,
    /// None: it is the folder of the page.
    path: Option<Vec<u8>>,
    domain: Option<Vec<u8>>,
    others: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Cookie {
    /// "The set-cookie-string parsing algorithm".
    fn read(text: &[u8]) -> Option<Self> {
        let white = |byte: &u8| matches!(byte, b' ' | b'\t');
        let trim = |text: &[u8]| {
            let begin = text.iter().position(|byte| !white(byte));
            let end = text.iter().rposition(|byte| !white(byte));
            begin
                .zip(end)
                .map_or(Vec::new(), |(begin, end)| text[begin..=end].to_vec())
        };
        let pair = |text: &[u8]| match text.iter().position(|byte| *byte == b'=') {
            Some(at) => (trim(&text[..at]), Some(trim(&text[at + 1..]))),
            None => (trim(text), None),
        };
        let mut parts = text.split(|byte| *byte == b';');
        let (name, value) = match pair(parts.next()?) {
            (name, Some(value)) => (name, value),
            (value, None) => (Vec::new(), value),
        };
        if name.is_empty() && value.is_empty() {
            return None;
        }
        let mut cookie = Self {
            name,
            value,
            path: None,
            domain: None,
            others: Vec::new(),
        };
        for attribute in parts {
            let (name, value) = pair(attribute);
            let (name, value) = (name.to_ascii_lowercase(), value.unwrap_or_default());
            match &*name {
                b"path" => cookie.path = Some(value).filter(|path| path.starts_with(b"/")),
                b"domain" if !value.is_empty() => cookie.domain = Some(value),
                b"domain" => {}
                _ => cookie.others.push((name, value)),
            }
        }
        Some(cookie)
    }

    /// What the browser sends.
    fn sent_back(&self) -> Vec<u8> {
        match &*self.name {
            [] => self.value.clone(),
            name => [name, b"=", &self.value].concat(),
        }
    }
}

fn begins(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

pub(crate) fn cookies(input: &[u8]) {
    let Ok(set) = HeaderValue::from_bytes(input) else {
        return;
    };
    let Some(before) = Cookie::read(input) else {
        return;
    };
    let seen = format!("{FRONT}{PREFIX}");
    let mut headers = HeaderMap::from_iter([(SET_COOKIE, set)]);
    let paths = TargetPaths {
        arrived: PREFIX,
        external: &seen,
    };
    let never = crate::serve::forward::tests::fuzz::never_forwarded();
    confine(&mut headers, paths, &never);
    let all: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
    let [after] = *all else {
        let is_dropped = is_ours(&before.sent_back()) || input.len() > 65_536;
        assert!(all.is_empty() && is_dropped, "{before:?} is gone");
        return;
    };
    let after = Cookie::read(after.as_bytes()).expect("it is still a cookie");
    assert_eq!(after.domain, None, "{after:?} goes to others");
    let path = after.path.as_ref();
    let is_below = |path: &Vec<u8>| {
        let inside = path.strip_prefix(seen.as_bytes());
        inside.is_some_and(|inside| inside.is_empty() || inside.starts_with(b"/"))
    };
    assert!(path.is_none_or(is_below), "{after:?} is set for others");
    assert_eq!(
        path.is_some(),
        before.path.is_some(),
        "{before:?} {after:?}"
    );
    assert_eq!(after.others, before.others);
    let is_renamed = is_of_host(&before) || is_of_others(&before);
    assert!(is_renamed || !is_ours(&after.sent_back()), "{after:?}");
    // What looks like a pair, but is the value of a cookie without a name, belongs to others when it comes back.
    let is_odd = before.name.is_empty() && input.trim_ascii_start().starts_with(b"=");
    if !(is_odd && is_of_others(&before)) {
        comes_back(&before, &after);
    }
}

/// Whether a cookie is sent back under one of the names that this server gives out itself.
fn is_ours(sent: &[u8]) -> bool {
    let ours = [
        &b"throughway-login"[..],
        b"throughway-host-",
        b"throughway-own-",
    ];
    ours.iter().any(|ours| begins(name(sent), ours))
}

fn is_of_host(cookie: &Cookie) -> bool {
    begins(&cookie.sent_back(), b"__host-")
}

/// Whether others on the origin have cookies of that name, so that it travels under another.
fn is_of_others(cookie: &Cookie) -> bool {
    let sent = cookie.sent_back();
    name(&sent) == b"argocd.token" || name(&sent).starts_with(b"_oauth2_proxy")
}

fn name(sent: &[u8]) -> &[u8] {
    let name = sent.split(|byte| *byte == b'=').next();
    name.unwrap_or_default().trim_ascii()
}

/// What the browser sends is for the backend what it has set.
fn comes_back(before: &Cookie, after: &Cookie) {
    let back = crate::serve::forward::tests::fuzz::cookies_at_backend(&after.sent_back());
    if is_of_host(before) {
        assert_eq!(back[7..], before.sent_back()[7..]);
        assert!(begins(&back, b"__host-"));
    } else {
        assert_eq!(back, before.sent_back());
    }
}

//! Cookies stay on the host that set them: a `Domain` above it, which would send them to all Services of the cluster,
//! goes.
//!
//! `svc.localhost` is on no list of public suffixes, so browsers would let `a.x.svc.localhost` set cookies for it (RFC
//! 6265 section 5.3). Everything else of a cookie stays byte for byte.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::protocol::host::without_port;

/// Takes `Domain` out of the cookies that name another host than this one.
pub(super) fn keep_at_home(headers: &mut HeaderMap, host: &str) {
    let own = without_port(host);
    for (_, cookie) in headers.iter_mut().filter(|(name, _)| **name == SET_COOKIE) {
        let Some(kept) = without_foreign_domain(cookie.as_bytes(), own) else {
            continue;
        };
        *cookie = HeaderValue::from_bytes(&kept).expect("parts of a value are a value");
    }
}

fn without_foreign_domain(cookie: &[u8], own: &str) -> Option<Vec<u8>> {
    let is_foreign = |attribute: &[u8]| {
        let mut parts = attribute.splitn(2, |byte| *byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let domain = parts.next().unwrap_or_default().trim_ascii();
        let domain = domain.strip_prefix(b".").unwrap_or(domain);
        name.eq_ignore_ascii_case(b"domain") && !domain.eq_ignore_ascii_case(own.as_bytes())
    };
    let mut attributes = cookie.split(|byte| *byte == b';');
    let pair = attributes.next().unwrap_or_default();
    // Nearly all cookies name no domain, and are not touched.
    if !attributes.clone().any(is_foreign) {
        return None;
    }
    let kept = std::iter::once(pair).chain(attributes.filter(|attribute| !is_foreign(attribute)));
    Some(kept.collect::<Vec<_>>().join(&b';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cookie: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_str(cookie).unwrap());
        keep_at_home(&mut headers, "app.demo.svc.localhost:8001");
        headers[SET_COOKIE].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_cookie_is_set_for_its_own_host_alone() {
        for (set, expected) in [
            ("a=1; Domain=svc.localhost; Path=/", "a=1; Path=/"),
            ("a=1;domain = .demo.svc.localhost", "a=1"),
            (
                "a=1; Domain=localhost; Domain=svc.localhost; HttpOnly",
                "a=1; HttpOnly",
            ),
            ("a=1; Domain=grafana.example.com", "a=1"),
            ("a=1; Domain=", "a=1"),
        ] {
            assert_eq!(kept(set), expected);
        }
    }

    #[test]
    fn everything_else_of_a_cookie_stays() {
        for cookie in [
            "a=1",
            "Domain=svc.localhost",
            "a=1; Domain=App.demo.svc.localhost ;  Secure;;SameSite=None",
            "a=\"x; y\"; Path=/x",
        ] {
            assert_eq!(kept(cookie), cookie);
        }
    }
}

//! Cookies within a chain of redirects. In: what the caller sent, and every `Set-Cookie` of the chain so far. Out: the
//! `Cookie` of the next request, named as a browser would send it.
//!
//! Paths and domains of cookies don't count here: a chain stays inside one target. RFC 6265bis section 5.8.3.

use std::collections::HashMap;

use http::{HeaderMap, HeaderValue, header};

use crate::serve::config::CookieNames;
use crate::serve::response::cookies::renamed;

/// The `Cookie` of a next request: what the caller sent, with what the responses have set since, the last of each name.
pub(super) fn cookie(
    sent: &HeaderMap,
    set: &[HeaderValue],
    never: &CookieNames,
) -> Option<HeaderValue> {
    // In the terms of the caller's cookies, so that the names of both can be compared.
    let pairs: Vec<(Vec<u8>, bool)> = set.iter().map(|set| read(set, never)).collect();
    let last: HashMap<&[u8], usize> = pairs
        .iter()
        .enumerate()
        .map(|(at, (pair, _))| (name_of(pair), at))
        .collect();
    let pairs_sent = sent
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        // What was set anew takes the place of what the caller sent.
        .filter(|pair| !pair.is_empty() && !last.contains_key(name_of(pair)));
    let pairs_set = pairs
        .iter()
        .enumerate()
        // Only the last of each name counts, and not if it takes the cookie back.
        .filter(|(at, (pair, is_over))| !is_over && last[name_of(pair)] == *at)
        .map(|(_, (pair, _))| pair.as_slice());
    let jar: Vec<&[u8]> = pairs_sent.chain(pairs_set).collect();
    if jar.is_empty() {
        return None;
    }
    HeaderValue::from_bytes(&jar.join(&b"; "[..])).ok()
}

/// The pair of a `Set-Cookie`, and whether it takes the cookie back.
fn read(cookie: &HeaderValue, never: &CookieNames) -> (Vec<u8>, bool) {
    let mut parts = cookie
        .as_bytes()
        .split(|byte| *byte == b';')
        .map(<[u8]>::trim_ascii);
    let pair = renamed(parts.next().unwrap_or_default(), never);
    (pair, parts.any(ends_it))
}

fn name_of(pair: &[u8]) -> &[u8] {
    let end = pair.iter().position(|byte| *byte == b'=');
    &pair[..end.unwrap_or(0)]
}

/// `Max-Age=0` and below is how a cookie is taken back within one chain of redirects.
fn ends_it(attribute: &[u8]) -> bool {
    let (name, value) = (
        name_of(attribute),
        attribute.rsplit(|byte| *byte == b'=').next(),
    );
    let is_over = value.is_some_and(|value| value == b"0" || value.starts_with(b"-"));
    name.eq_ignore_ascii_case(b"max-age") && is_over
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_of_a_chain_join_those_that_were_sent() {
        let value = |text: &str| HeaderValue::try_from(text).unwrap();
        let sent = HeaderMap::from_iter([(header::COOKIE, value("a=1; b=2"))]);
        let set = [
            value("b=3; Path=/; HttpOnly"),
            value("c=4"),
            value("a=; Max-Age=0"),
            value("c=5; max-age=60"),
        ];
        let never = CookieNames::default();
        assert_eq!(cookie(&sent, &set, &never), Some(value("b=3; c=5")));
        assert_eq!(cookie(&HeaderMap::new(), &[], &never), None);
    }

    #[test]
    fn a_cookie_of_a_chain_that_travels_under_another_name_goes_along() {
        let sent = HeaderMap::from_iter([(
            header::COOKIE,
            HeaderValue::from_static("Throughway-Host-id=1"),
        )]);
        let set = [
            HeaderValue::from_static("__Host-id=2; Secure; Path=/"),
            HeaderValue::from_static("argocd.token=3"),
        ];
        let expected =
            HeaderValue::from_static("Throughway-Host-id=2; Throughway-Own-argocd.token=3");
        let never = ["argocd.token".to_owned()].into_iter().collect();
        assert_eq!(cookie(&sent, &set, &never), Some(expected));
    }
}

//! Cookies on their way to a backend: its own, and none of those that others on the same origin live by.
//!
//! A browser sends an app everything that was set for a path above it. What `--never-forward-cookies` names stays here,
//! and so does this server's own. The names under which a backend's own cookies travelled, [`HOST_COOKIES`] for
//! `__Host-` and [`OWN_COOKIES`] for those of the flag, are taken back. All others stay byte for byte.
//!
//! RFC 6265bis section 5.8.3: pairs are separated by `; `. HTTP/2 may send one line a pair, as kube-aggregator does,
//! and HTTP/1.1 may not, so they become one line (RFC 9113 section 8.2.3): frameworks that join lines themselves do it
//! with a comma.

use std::borrow::Cow;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::serve::app_login::LOGIN_COOKIE;
use crate::serve::config::CookieNames;

/// What stands for `__Host-` in the names of cookies while a browser keeps them.
pub const HOST_COOKIES: &str = "Throughway-Host-";

/// What stands before the names of a backend's own cookies that `--never-forward-cookies` has: without it, they would
/// not come back to the app that set them.
pub const OWN_COOKIES: &str = "Throughway-Own-";

/// Whether this server gives cookies of that name out itself, so that no backend may set one. Case does not count, as
/// browsers compare prefixes of names without it.
pub fn is_own_cookie(name: &[u8]) -> bool {
    let begins = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    begins(HOST_COOKIES) || begins(OWN_COOKIES) || begins(LOGIN_COOKIE)
}

/// Leaves the cookies that the backend is to get, in their order.
pub(super) fn to_backend(headers: &mut HeaderMap, never: &CookieNames) {
    // Most requests of clusters have no cookies, and are not looked at any further.
    if !headers.contains_key(COOKIE) {
        return;
    }
    let lines: Vec<HeaderValue> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| kept(line, never))
        .collect();
    let line = match &*lines {
        [] => {
            headers.remove(COOKIE);
            return;
        }
        [line] => line.clone(),
        lines => {
            let lines: Vec<&[u8]> = lines.iter().map(HeaderValue::as_bytes).collect();
            HeaderValue::from_bytes(&lines.join(&b"; "[..])).expect("values joined are a value")
        }
    };
    // Takes the place of the first line, so that the order of headers stays.
    headers.insert(COOKIE, line);
}

fn kept(line: &HeaderValue, never: &CookieNames) -> Option<HeaderValue> {
    let pairs = || line.as_bytes().split(|byte| *byte == b';');
    // Asked twice rather than collected once: in the common case nothing changes, and then the line is passed without a
    // copy.
    if pairs().all(|pair| matches!(arriving(pair, never), Some(Cow::Borrowed(_)))) {
        return Some(line.clone());
    }
    // A pair that goes leaves no gap: joined without it, the rest is what the browser would have sent.
    let kept: Vec<Cow<'_, [u8]>> = pairs().filter_map(|pair| arriving(pair, never)).collect();
    let text = kept.join(&b';');
    let text = text.trim_ascii_start();
    (!text.is_empty()).then(|| HeaderValue::from_bytes(text).expect("parts of a value are a value"))
}

/// A pair as the backend gets it, if it gets it.
fn arriving<'a>(pair: &'a [u8], never: &CookieNames) -> Option<Cow<'a, [u8]>> {
    let (space, rest) = pair.split_at(pair.len() - pair.trim_ascii_start().len());
    // Looked for before the names that stay here: `__Host-` may be one of those, and this cookie is the backend's own
    // all the same.
    if let Some(rest) = rest.strip_prefix(HOST_COOKIES.as_bytes()) {
        return Some([space, b"__Host-", rest].concat().into());
    }
    if let Some(rest) = rest.strip_prefix(OWN_COOKIES.as_bytes())
        // Without the flag nobody put the prefix there, so a name that merely begins like this one is the app's and
        // stays.
        && never.hold(cookie_name(rest))
    {
        return Some([space, rest].concat().into());
    }
    let name = cookie_name(rest);
    // The login of the proxy itself is for no backend, whatever the flag says.
    let is_kept = name != LOGIN_COOKIE.as_bytes() && !never.hold(name);
    is_kept.then_some(pair.into())
}

/// What stands before the equals sign, without spaces around it.
pub fn cookie_name(pair: &[u8]) -> &[u8] {
    let end = pair.iter().position(|byte| *byte == b'=');
    pair[..end.unwrap_or(pair.len())].trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arriving(lines: &[&str]) -> Vec<String> {
        let never = ["_oauth2_proxy*", "argocd.token"].map(str::to_owned);
        let never = never.into_iter().collect();
        let mut headers: HeaderMap = lines
            .iter()
            .map(|line| (COOKIE, HeaderValue::from_str(line).unwrap()))
            .collect();
        to_backend(&mut headers, &never);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.get_all(COOKIE).iter().map(text).collect()
    }

    #[test]
    fn a_backend_gets_its_own_cookies_and_nobody_elses() {
        for (sent, expected) in [
            ("a=1; b=2", Some("a=1; b=2")),
            ("a=1;b=\"x y\";; c", Some("a=1;b=\"x y\";; c")),
            ("_oauth2_proxy=s; a=1", Some("a=1")),
            ("a=1; _oauth2_proxy_csrf=s; b=2", Some("a=1; b=2")),
            ("argocd.token=s", None),
            ("argocd.tokens=1", Some("argocd.tokens=1")),
            ("Throughway-Login=s; a=1", Some("a=1")),
            ("a=1; Throughway-Host-id=2", Some("a=1; __Host-id=2")),
            ("Throughway-Host-a=1; argocd.token=s", Some("__Host-a=1")),
            ("a=argocd.token=x", Some("a=argocd.token=x")),
            (
                "argocd.token=s; Throughway-Own-argocd.token=t",
                Some("argocd.token=t"),
            ),
            (
                "a=1;  Throughway-Own-_oauth2_proxy_0 =\"t\"",
                Some("a=1;  _oauth2_proxy_0 =\"t\""),
            ),
            // No app of this server has set them.
            ("Throughway-Own-a=1", Some("Throughway-Own-a=1")),
            (
                "Throughway-Own-__Host-a=1",
                Some("Throughway-Own-__Host-a=1"),
            ),
        ] {
            let expected: Vec<String> = expected.map(str::to_owned).into_iter().collect();
            assert_eq!(arriving(&[sent]), expected, "{sent}");
        }
    }

    #[test]
    fn lines_of_http2_become_one() {
        assert_eq!(arriving(&["a=1", "argocd.token=s", "b=2"]), ["a=1; b=2"]);
        assert_eq!(arriving(&["argocd.token=s", "Throughway-Login=t"]), [""; 0]);
    }

    #[test]
    fn other_headers_keep_their_order_and_other_bytes_stay() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        let cookies = b"\xff=\xe4; argocd.token=s;  n\t=\"a,b\"";
        headers.append(COOKIE, HeaderValue::from_bytes(cookies).unwrap());
        headers.append("x-b", HeaderValue::from_static("2"));
        let never = ["argocd.token".to_owned()].into_iter().collect();
        to_backend(&mut headers, &never);
        let lines: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let expected: [(&str, &[u8]); 3] = [
            ("x-a", b"1"),
            ("cookie", b"\xff=\xe4;  n\t=\"a,b\""),
            ("x-b", b"2"),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn names_of_ours_are_known_in_any_case() {
        assert!(is_own_cookie(b"Throughway-Login") && is_own_cookie(b"throughway-host-x"));
        assert!(is_own_cookie(b"THROUGHWAY-OWN-x"));
        assert!(!is_own_cookie(b"Throughway") && !is_own_cookie(b"login"));
    }
}

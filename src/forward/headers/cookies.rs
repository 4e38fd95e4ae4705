//! Cookies on their way to a backend: its own, and none of those that others on the same origin live by.
//!
//! A browser sends an app everything that was set for a path above it. What [`NeverForwarded`] names stays here, and so does
//! this server's own; `__Host-` names, which travelled as [`HOST_COOKIES`], get their name back. All others stay byte for byte.
//!
//! RFC 6265bis section 5.8.3: pairs are separated by `; `. HTTP/2 may send one line a pair, as kube-aggregator does, and HTTP/1.1
//! may not, so they become one line (RFC 9113 section 8.2.3): frameworks that join lines themselves do it with a comma.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// What stands for `__Host-` in the names of cookies while a browser keeps them.
pub const HOST_COOKIES: &str = "Throughway-Host-";

/// The cookie that keeps a login for an app.
pub const LOGIN_COOKIE: &str = "Throughway-Login";

/// Whether this server gives cookies of that name out itself, so that no backend may set one. Case does not count, as
/// browsers compare prefixes of names without it.
pub fn is_own_cookie(name: &[u8]) -> bool {
    let begins = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    begins(HOST_COOKIES) || begins(LOGIN_COOKIE)
}

/// Names of cookies that no backend gets.
#[derive(Debug, Clone, Copy)]
pub(super) struct NeverForwarded<'a>(pub(super) &'a [String]);

impl NeverForwarded<'_> {
    fn holds(self, name: &[u8]) -> bool {
        name == LOGIN_COOKIE.as_bytes()
            || self
                .0
                .iter()
                .any(|pattern| match pattern.strip_suffix('*') {
                    Some(begin) => name.starts_with(begin.as_bytes()),
                    None => name == pattern.as_bytes(),
                })
    }
}

/// Leaves the cookies that the backend is to get, in their order.
pub(super) fn to_backend(headers: &mut HeaderMap, never: NeverForwarded<'_>) {
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

fn kept(line: &HeaderValue, never: NeverForwarded<'_>) -> Option<HeaderValue> {
    let pairs = || line.as_bytes().split(|byte| *byte == b';');
    let is_kept = |pair: &&[u8]| !never.holds(name(pair));
    let is_renamed = |pair: &[u8]| pair.trim_ascii_start().starts_with(HOST_COOKIES.as_bytes());
    if pairs().all(|pair| is_kept(&pair) && !is_renamed(pair)) {
        return Some(line.clone());
    }
    let kept: Vec<Vec<u8>> = pairs().filter(is_kept).map(named_again).collect();
    let text = kept.join(&b';');
    let text = text.trim_ascii_start();
    (!text.is_empty()).then(|| HeaderValue::from_bytes(text).expect("parts of a value are a value"))
}

fn named_again(pair: &[u8]) -> Vec<u8> {
    let start = pair.len() - pair.trim_ascii_start().len();
    match pair[start..].strip_prefix(HOST_COOKIES.as_bytes()) {
        Some(rest) => [&pair[..start], b"__Host-", rest].concat(),
        None => pair.to_vec(),
    }
}

fn name(pair: &[u8]) -> &[u8] {
    let end = pair.iter().position(|byte| *byte == b'=');
    pair[..end.unwrap_or(pair.len())].trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arriving(lines: &[&str]) -> Vec<String> {
        let never = ["_oauth2_proxy*", "argocd.token"].map(str::to_owned);
        let mut headers: HeaderMap = lines
            .iter()
            .map(|line| (COOKIE, HeaderValue::from_str(line).unwrap()))
            .collect();
        to_backend(&mut headers, NeverForwarded(&never));
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
        to_backend(&mut headers, NeverForwarded(&["argocd.token".to_owned()]));
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
        assert!(!is_own_cookie(b"Throughway") && !is_own_cookie(b"login"));
    }
}

//! Cookies that a backend sets: kept below its own path, so that no app sees or overwrites another's.
//!
//! `Path` is put below the target's prefix as the browser sees it, `Domain` goes, and `__Host-` names, which a browser takes
//! only with `Path=/`, travel as [`HOST_COOKIES`]. A cookie under a name that this server gives out itself is dropped.
//! Everything else stays byte for byte: order, case, spaces, attributes nobody knows. A cookie without `Path` belongs to the
//! folder of the request's path, which is below the prefix already.
//!
//! RFC 6265bis sections 4.1.3 and 5.6; <https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis>.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::forward::{HOST_COOKIES, is_own_cookie};

/// Rewrites every `Set-Cookie` for a target that the browser sees below `prefix`, which does not end in a slash.
pub(super) fn rewrite(headers: &mut HeaderMap, prefix: &str) {
    if !headers.contains_key(SET_COOKIE) {
        return;
    }
    let set: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for cookie in set {
        if let Some(cookie) = rewritten(cookie.as_bytes(), prefix) {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

fn rewritten(cookie: &[u8], prefix: &str) -> Option<HeaderValue> {
    let mut parts = cookie.split(|byte| *byte == b';');
    let pair = parts.next().unwrap_or_default();
    if is_own_cookie(name(pair)) {
        return None;
    }
    let mut text = renamed(pair);
    for attribute in parts {
        let name = name(attribute);
        if name.eq_ignore_ascii_case(b"domain") {
            continue;
        }
        text.push(b';');
        if name.eq_ignore_ascii_case(b"path") {
            text.extend(below(attribute, prefix));
        } else {
            text.extend_from_slice(attribute);
        }
    }
    Some(HeaderValue::from_bytes(&text).expect("parts of a value and a path are a value"))
}

/// What stands before the equals sign, without spaces around it.
fn name(part: &[u8]) -> &[u8] {
    let end = part.iter().position(|byte| *byte == b'=');
    part[..end.unwrap_or(part.len())].trim_ascii()
}

fn renamed(pair: &[u8]) -> Vec<u8> {
    const HOST: &[u8] = b"__Host-";
    let start = pair.len() - pair.trim_ascii_start().len();
    let rest = &pair[start..];
    match rest.get(..HOST.len()) {
        Some(begin) if begin.eq_ignore_ascii_case(HOST) => {
            [&pair[..start], HOST_COOKIES.as_bytes(), &rest[HOST.len()..]].concat()
        }
        _ => pair.to_vec(),
    }
}

/// A `Path` attribute below the prefix. One that is no absolute path means none at all, and is left as it is.
fn below(attribute: &[u8], prefix: &str) -> Vec<u8> {
    let equals = attribute.iter().position(|byte| *byte == b'=');
    let value_at = equals.map_or(attribute.len(), |at| at + 1);
    let value = attribute[value_at..].trim_ascii();
    let start =
        value_at + (attribute[value_at..].len() - attribute[value_at..].trim_ascii_start().len());
    let carries_it = value
        .strip_prefix(prefix.as_bytes())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
    if !value.starts_with(b"/") || carries_it {
        return attribute.to_vec();
    }
    [
        &attribute[..start],
        prefix.as_bytes(),
        value,
        &attribute[start + value.len()..],
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PREFIX: &str = "/apis/throughway.dev/v1/namespaces/demo/services/web:80/proxy";

    fn set(cookies: &[&str]) -> Vec<String> {
        let value = |cookie: &&str| (SET_COOKIE, HeaderValue::from_str(cookie).unwrap());
        let mut headers: HeaderMap = cookies.iter().map(value).collect();
        rewrite(&mut headers, PREFIX);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.get_all(SET_COOKIE).iter().map(text).collect()
    }

    #[test]
    fn paths_go_below_the_prefix_and_domains_go() {
        for (sent, expected) in [
            ("a=b; Path=/", "a=b; Path=PREFIX/"),
            ("a=b;path = /x ;HttpOnly", "a=b;path = PREFIX/x ;HttpOnly"),
            ("a=b; PATH=/; Path=/y", "a=b; PATH=PREFIX/; Path=PREFIX/y"),
            ("a=b; Domain=example.com; Secure", "a=b; Secure"),
            ("a=b; domain=.example.com", "a=b"),
            ("a=b", "a=b"),
            ("a=b; Path=", "a=b; Path="),
            ("a=b; Path=x", "a=b; Path=x"),
            ("a=b; Path", "a=b; Path"),
            ("a=b; Path=PREFIX/x", "a=b; Path=PREFIX/x"),
            ("a=b; Path=PREFIX", "a=b; Path=PREFIX"),
            ("a=b; Path=PREFIXED", "a=b; Path=PREFIXPREFIXED"),
            ("a=b; Path=/apis/x/../..", "a=b; Path=PREFIX/apis/x/../.."),
            ("novalue; Path=/", "novalue; Path=PREFIX/"),
            ("=noname; Path=/", "=noname; Path=PREFIX/"),
            ("", ""),
            (
                "a=b; SameSite=Lax; Expires=Thu, 01 Jan 2026 00:00:00 GMT; X=y=z",
                "a=b; SameSite=Lax; Expires=Thu, 01 Jan 2026 00:00:00 GMT; X=y=z",
            ),
        ] {
            let sent = sent
                .replace("PREFIXED", &format!("{PREFIX}ed"))
                .replace("PREFIX", PREFIX);
            let expected = expected
                .replace("PREFIXED", &format!("{PREFIX}ed"))
                .replace("PREFIX", PREFIX);
            assert_eq!(set(&[&sent]), [expected], "{sent}");
        }
    }

    #[test]
    fn host_cookies_travel_under_another_name() {
        assert_eq!(
            set(&["__Host-a=b; Path=/; Secure", " __host-a=b", "__Secure-a=b"]),
            [
                format!("Throughway-Host-a=b; Path={PREFIX}/; Secure"),
                " Throughway-Host-a=b".to_owned(),
                "__Secure-a=b".to_owned(),
            ]
        );
    }

    #[test]
    fn no_backend_sets_a_cookie_of_ours() {
        assert_eq!(
            set(&["Throughway-Login=x", "throughway-host-a=x", "a=b"]),
            ["a=b"]
        );
    }

    proptest! {
        #[test]
        fn what_is_no_path_domain_or_host_name_stays_byte_for_byte(
            cookie in "[a-zA-Z0-9!%= ,;\"]{0,40}",
            filler in 0_usize..8000,
        ) {
            let names = ["path", "domain"];
            prop_assume!(!names.iter().any(|name| cookie.to_ascii_lowercase().contains(name)));
            let cookie = format!("x{cookie}{}", "y".repeat(filler));
            prop_assert_eq!(set(&[&cookie]), [cookie]);
        }
    }
}

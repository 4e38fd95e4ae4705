//! Cookies that a backend sets: kept below its own path, so that no app sees or overwrites another's.
//!
//! `Path` is put below the target's prefix as the browser sees it, `Domain` goes, and `__Host-` names, which a browser
//! takes only with `Path=/`, travel as [`HOST_COOKIES`]. Names that `--never-forward-cookies` has travel behind
//! [`OWN_COOKIES`], as they would not come back otherwise: Argo CD, Headlamp and oauth2-proxy are in front of clusters,
//! and in them. A cookie under a name that this server gives out itself is dropped. Everything else stays byte for
//! byte: order, case, spaces, attributes nobody knows. A cookie without `Path` belongs to the folder of the request's
//! path, which is below the prefix already.
//!
//! RFC 6265bis sections 4.1.3 and 5.6; <https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis>.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::serve::config::CookieNames;
use crate::serve::forward::{HOST_COOKIES, OWN_COOKIES, cookie_name, is_own_cookie};

/// A longer `Set-Cookie` is dropped, as browsers do from 4 KiB on: with the path that it names it could be another
/// app's.
const MAX_COOKIE: usize = 64 * 1024;

/// Where a target is: its path as it arrived here, and as the browser has it. Neither ends in a slash.
#[derive(Debug, Clone, Copy)]
pub(super) struct TargetPaths<'a> {
    pub(super) arrived: &'a str,
    pub(super) external: &'a str,
}

/// Keeps every `Set-Cookie` of a target below its path.
pub(super) fn confine(headers: &mut HeaderMap, paths: TargetPaths<'_>, never: &CookieNames) {
    if !headers.contains_key(SET_COOKIE) {
        return;
    }
    // Before names change: what is compared with this server's own names is what the backend wrote.
    drop_unwanted(headers);
    for (name, cookie) in headers.iter_mut() {
        if *name == SET_COOKIE {
            *cookie = rewritten(cookie.as_bytes(), paths, never);
        }
    }
}

/// Those under this server's names, and those that are too long.
fn drop_unwanted(headers: &mut HeaderMap) {
    let is_unwanted = |cookie: &HeaderValue| {
        if cookie.len() > MAX_COOKIE {
            return true;
        }
        // As a browser would send it back: `=Throughway-Login=x` has no name and would come back looking like the
        // login.
        let pair = cookie.as_bytes().split(|byte| *byte == b';').next();
        is_own_cookie(cookie_name(sent_back(pair.unwrap_or_default())))
    };
    let set = headers.get_all(SET_COOKIE);
    // Copied only if something goes, as nearly all responses keep all of theirs.
    if !set.iter().any(is_unwanted) {
        return;
    }
    let kept = set.iter().filter(|set| !is_unwanted(set)).cloned();
    let kept: Vec<HeaderValue> = kept.collect();
    // Removed and added again, since a header map can't drop one value among many.
    headers.remove(SET_COOKIE);
    for cookie in kept {
        headers.append(SET_COOKIE, cookie);
    }
}

fn rewritten(cookie: &[u8], paths: TargetPaths<'_>, never: &CookieNames) -> HeaderValue {
    let mut parts = cookie.split(|byte| *byte == b';');
    let mut text = renamed(parts.next().unwrap_or_default(), never);
    for attribute in parts {
        let name = cookie_name(attribute);
        // An app can't know the browser's host, and one that matched would reach other apps on it.
        if name.eq_ignore_ascii_case(b"domain") {
            continue;
        }
        text.push(b';');
        if name.eq_ignore_ascii_case(b"path") {
            text.extend(below(attribute, paths));
        } else {
            text.extend_from_slice(attribute);
        }
    }
    HeaderValue::from_bytes(&text).expect("parts of a value and a path are a value")
}

/// A pair as a browser sends it back: without the equals sign that says that it has no name, so that its value can look
/// like one.
fn sent_back(pair: &[u8]) -> &[u8] {
    let pair = pair.trim_ascii_start();
    pair.strip_prefix(b"=").unwrap_or(pair)
}

/// A pair under the name by which a browser keeps it.
pub(super) fn renamed(pair: &[u8], never: &CookieNames) -> Vec<u8> {
    const HOST: &[u8] = b"__Host-";
    let (space, rest) = pair.split_at(pair.len() - pair.trim_ascii_start().len());
    // Browsers compare `__Host-` without case, so it is done so here.
    match rest.get(..HOST.len()) {
        Some(begin) if begin.eq_ignore_ascii_case(HOST) => {
            [space, HOST_COOKIES.as_bytes(), &rest[HOST.len()..]].concat()
        }
        _ if never.hold(cookie_name(rest)) => [space, OWN_COOKIES.as_bytes(), rest].concat(),
        _ => pair.to_vec(),
    }
}

/// A `Path` attribute below the target's path, which an app that knows where it lives may have put there already. One
/// that is no absolute path means none at all, and is left as it is.
fn below(attribute: &[u8], paths: TargetPaths<'_>) -> Vec<u8> {
    let equals = attribute.iter().position(|byte| *byte == b'=');
    let value_at = equals.map_or(attribute.len(), |at| at + 1);
    let value = attribute[value_at..].trim_ascii();
    let start =
        value_at + (attribute[value_at..].len() - attribute[value_at..].trim_ascii_start().len());
    let after = |prefix: &str| {
        let rest = value.strip_prefix(prefix.as_bytes())?;
        (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
    };
    // One that the app put below the prefix itself stays; anything else goes below it.
    if !value.starts_with(b"/") || after(paths.external).is_some() {
        return attribute.to_vec();
    }
    [
        &attribute[..start],
        paths.external.as_bytes(),
        after(paths.arrived).unwrap_or(value),
        &attribute[start + value.len()..],
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PREFIX: &str = "/apis/throughway.dev/v1/namespaces/demo/services/web:80/proxy";

    fn never() -> CookieNames {
        let names = ["argocd.token", "_oauth2_proxy*", "__Host-oauth2*"];
        names.map(str::to_owned).into_iter().collect()
    }

    fn set(cookies: &[&str]) -> Vec<String> {
        set_below(PREFIX, cookies)
    }

    fn set_below(external: &str, cookies: &[&str]) -> Vec<String> {
        let value = |cookie: &&str| (SET_COOKIE, HeaderValue::from_str(cookie).unwrap());
        let mut headers: HeaderMap = cookies.iter().map(value).collect();
        let arrived = PREFIX;
        confine(&mut headers, TargetPaths { arrived, external }, &never());
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.get_all(SET_COOKIE).iter().map(text).collect()
    }

    #[test]
    fn a_cookie_of_more_than_64_kib_is_dropped() {
        let of_length = |length: usize| format!("a={}", "x".repeat(length - 2));
        let (longest, longer) = (of_length(MAX_COOKIE), of_length(MAX_COOKIE + 1));
        assert_eq!(set(&[&longest, &longer, "b=c"]), [&*longest, "b=c"]);
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
    fn a_backends_own_cookie_of_a_name_that_is_never_forwarded_travels_under_another() {
        for (sent, expected) in [
            (
                "argocd.token=t; Path=/",
                "Throughway-Own-argocd.token=t; Path=PREFIX/",
            ),
            (" argocd.token =t", " Throughway-Own-argocd.token =t"),
            (
                "argocd.token=; Max-Age=0",
                "Throughway-Own-argocd.token=; Max-Age=0",
            ),
            (
                "_oauth2_proxy_0=t; Secure",
                "Throughway-Own-_oauth2_proxy_0=t; Secure",
            ),
            ("__Host-oauth2_proxy=t", "Throughway-Host-oauth2_proxy=t"),
            ("argocd.tokens=t", "argocd.tokens=t"),
            ("a=argocd.token", "a=argocd.token"),
        ] {
            assert_eq!(set(&[sent]), [expected.replace("PREFIX", PREFIX)], "{sent}");
        }
    }

    #[test]
    fn no_backend_sets_a_cookie_of_ours() {
        assert_eq!(
            set(&[
                "Throughway-Login=x",
                "throughway-host-a=x",
                "Throughway-Own-argocd.token=x",
                "a=b"
            ]),
            ["a=b"]
        );
        let without_names = [
            "=Throughway-Login=x",
            " = Throughway-Host-a=x; Path=/",
            "Throughway-Login",
            "\tThroughway-Login\t=x",
        ];
        assert_eq!(set(&without_names), [""; 0]);
    }

    #[test]
    fn a_path_is_put_below_what_the_browser_sees_and_never_twice() {
        let seen = &format!("/k8s/clusters/c-1{PREFIX}");
        for (sent, expected) in [
            ("/x".to_owned(), format!("{seen}/x")),
            (format!("{PREFIX}/x"), format!("{seen}/x")),
            (PREFIX.to_owned(), seen.clone()),
            (format!("{seen}/x"), format!("{seen}/x")),
            (format!("{PREFIX}ed"), format!("{seen}{PREFIX}ed")),
        ] {
            let expected = format!("a=b; Path={expected}; Secure");
            assert_eq!(
                set_below(seen, &[&format!("a=b; Path={sent}; Secure")]),
                [expected],
                "{sent}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_ascii_stay() {
        let cookie = b"n\xe4me=\xff\x80; Path=/\xfc; X=\xc3\xa4";
        let mut headers =
            HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_bytes(cookie).unwrap())]);
        let (arrived, external) = (PREFIX, "/p");
        confine(&mut headers, TargetPaths { arrived, external }, &never());
        assert_eq!(
            headers[SET_COOKIE].as_bytes(),
            b"n\xe4me=\xff\x80; Path=/p/\xfc; X=\xc3\xa4"
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

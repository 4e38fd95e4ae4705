//! What no stage after this one may see, and never reaches a backend: credentials, and headers that claim an identity.
//!
//! Some backends read `X_Remote_User` like `X-Remote-User` (WSGI, PHP; CVE-2025-64484), so an underscore counts as a
//! hyphen here.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::token_header::WEBSOCKET_TOKEN;
use crate::serve::certificates::RequestHeader;

/// Whether the request asks to act as somebody else.
pub(super) fn impersonates(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .any(|name| plain(name.as_str()).starts_with("impersonate-"))
}

/// Takes out every credential and every claim of an identity; what stays keeps its order.
pub(super) fn remove(headers: &mut HeaderMap, configured: Option<&RequestHeader>) {
    let configured = configured.filter(|names| has_names_of_its_own(names));
    keep(headers, |name, value| {
        if is_authorization(name) || is_claim(name, configured) {
            None
        // Only the entry that carries a token goes; the other sub-protocols are the backend's to choose from.
        } else if *name == header::SEC_WEBSOCKET_PROTOCOL {
            without_token(&value)
        } else {
            Some(value)
        }
    });
}

/// Takes out every claim of an identity. `Authorization` stays: it is the one that a page sends to an app at its own
/// origin.
pub(super) fn remove_claims(headers: &mut HeaderMap, configured: Option<&RequestHeader>) {
    let configured = configured.filter(|names| has_names_of_its_own(names));
    if headers.keys().any(|name| is_claim(name, configured)) {
        keep(headers, |name, value| {
            (!is_claim(name, configured)).then_some(value)
        });
    }
}

/// Keeps what `change` gives back, in its order.
fn keep(headers: &mut HeaderMap, change: impl Fn(&HeaderName, HeaderValue) -> Option<HeaderValue>) {
    // Rebuilt, as a header map can't change one of several values and keep the order.
    let before = std::mem::take(headers);
    headers.reserve(before.len());
    let mut name = None;
    for (next, value) in before {
        // Only the first of several values comes with their name.
        name = next.or(name);
        let Some(name) = &name else { continue };
        if let Some(value) = change(name, value) {
            headers.append(name, value);
        }
    }
}

/// Whether the front proxy names users in headers that [`is_standard`] does not know.
pub(super) fn has_names_of_its_own(configured: &RequestHeader) -> bool {
    let mut names = names(configured);
    names.any(|name| !is_standard(&plain(name.as_str())))
        || configured
            .extra_header_prefixes
            .iter()
            .any(|prefix| !is_standard(&plain(prefix)))
}

fn is_authorization(name: &HeaderName) -> bool {
    matches!(
        &*plain(name.as_str()),
        "authorization" | "proxy-authorization"
    )
}

/// `configured` is looked at for every header, so it is `None` where all its names are standard ones.
fn is_claim(name: &HeaderName, configured: Option<&RequestHeader>) -> bool {
    // Compared as the laxest of backends would read it.
    let plain = plain(name.as_str());
    is_standard(&plain) || configured.is_some_and(|configured| is_configured(&plain, configured))
}

/// Whether a name claims an identity in every cluster.
fn is_standard(plain: &str) -> bool {
    plain.starts_with("x-remote-") || plain.starts_with("impersonate-")
}

fn is_configured(plain: &str, configured: &RequestHeader) -> bool {
    names(configured).any(|name| *self::plain(name.as_str()) == *plain)
        || configured
            .extra_header_prefixes
            .iter()
            .any(|prefix| plain.starts_with(&*self::plain(prefix)))
}

/// The whole names of headers in which the front proxy names a user.
fn names(configured: &RequestHeader) -> impl Iterator<Item = &HeaderName> {
    let RequestHeader {
        username_headers,
        uid_headers,
        group_headers,
        ..
    } = configured;
    [username_headers, uid_headers, group_headers]
        .into_iter()
        .flatten()
}

/// A header's name, or the beginning of one, with hyphens for underscores; names are lower case already.
fn plain(name: &str) -> Cow<'_, str> {
    if name.as_bytes().contains(&b'_') {
        Cow::Owned(name.replace('_', "-"))
    } else {
        Cow::Borrowed(name)
    }
}

/// A list of sub-protocols without the entry that carries a token; `None` when nothing else is in it.
fn without_token(value: &HeaderValue) -> Option<HeaderValue> {
    let Ok(text) = value.to_str() else {
        return Some(value.clone());
    };
    if !text.contains(WEBSOCKET_TOKEN) {
        return Some(value.clone());
    }
    let kept: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|protocol| !protocol.is_empty() && !protocol.starts_with(WEBSOCKET_TOKEN))
        .collect();
    // An empty list is no header: a backend would take it for an offer of nothing.
    if kept.is_empty() {
        None
    } else {
        HeaderValue::try_from(kept.join(", ")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::try_from(*value).unwrap(),
            );
        }
        map
    }

    fn lines(map: &HeaderMap) -> Vec<(&str, &str)> {
        map.iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn credentials_go_in_every_spelling_and_the_rest_keeps_its_order() {
        let mut map = headers(&[
            ("Accept", "a"),
            ("X-Remote-User", "root"),
            ("x_remote_user", "root"),
            ("X-Remote_Group", "system:masters"),
            ("X-Remote-Extra-Scopes", "x"),
            ("X-Remote-Uid", "0"),
            ("Cookie", "c"),
            ("Authorization", "Bearer t"),
            ("Proxy_Authorization", "Basic p"),
            ("Impersonate-User", "root"),
            ("Cookie", "d"),
            ("Range", "r"),
        ]);
        remove(&mut map, None);
        assert_eq!(
            lines(&map),
            [
                ("accept", "a"),
                ("cookie", "c"),
                ("cookie", "d"),
                ("range", "r")
            ]
        );
    }

    fn configured() -> RequestHeader {
        let names = |text: &str| vec![HeaderName::try_from(text).unwrap()];
        RequestHeader {
            roots: crate::serve::certificates::Roots::parse(
                super::super::tests::authority_pem().as_bytes(),
            )
            .unwrap(),
            allowed_names: Vec::new(),
            username_headers: names("x-user"),
            uid_headers: names("x-uid"),
            group_headers: names("x-group"),
            extra_header_prefixes: vec!["x-more-".into()],
        }
    }

    #[test]
    fn configured_headers_go_too() {
        let configured = configured();
        let mut map = headers(&[
            ("X-User", "u"),
            ("X_Uid", "1"),
            ("X-Group", "g"),
            ("X-More-A", "a"),
            ("X-Users", "s"),
        ]);
        remove(&mut map, Some(&configured));
        assert_eq!(lines(&map), [("x-users", "s")]);
    }

    #[test]
    fn a_page_at_its_own_origin_claims_no_identity_and_keeps_its_authorization() {
        let configured = configured();
        let mut map = headers(&[
            ("Accept", "a"),
            ("X-Remote-User", "root"),
            ("x_remote_group", "system:masters"),
            ("Impersonate_User", "root"),
            ("X-User", "root"),
            ("x_more_scopes", "all"),
            ("Authorization", "Basic YQ=="),
            ("Cookie", "c"),
            ("Cookie", "d"),
        ]);
        remove_claims(&mut map, Some(&configured));
        assert_eq!(
            lines(&map),
            [
                ("accept", "a"),
                ("authorization", "Basic YQ=="),
                ("cookie", "c"),
                ("cookie", "d")
            ]
        );
    }

    #[test]
    fn the_token_goes_from_the_sub_protocols() {
        let token = format!("chat, {WEBSOCKET_TOKEN}dG9rZW4, v2");
        let mut map = headers(&[("Sec-WebSocket-Protocol", &token)]);
        remove(&mut map, None);
        assert_eq!(lines(&map), [("sec-websocket-protocol", "chat, v2")]);
        let mut map = headers(&[(
            "Sec-WebSocket-Protocol",
            &format!("{WEBSOCKET_TOKEN}dG9rZW4"),
        )]);
        remove(&mut map, None);
        assert!(map.is_empty());
    }
}

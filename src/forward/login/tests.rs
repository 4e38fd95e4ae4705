//! What becomes of `Throughway-Authorization` and of the login cookie.

use std::sync::Arc;

use super::*;
use crate::api::RequestInfo;
use crate::authentication::{self, Caller, User};
use crate::config::ApiGroup;

const WEB: &str = "/namespaces/demo/services/web:80";

/// A permit of this user for a target below the group's path.
pub(super) fn permit(user: &str, target: &str) -> Permit {
    permit_for("GET", user, target)
}

fn permit_for(method: &str, user: &str, target: &str) -> Permit {
    let group = ApiGroup {
        name: "throughway.dev".into(),
        version: "v1",
    };
    let uri = format!("/apis/throughway.dev/v1{target}/proxy/a");
    let method = method.parse().unwrap();
    let asked = RequestInfo::read(&group, &method, &uri.parse().unwrap()).unwrap();
    let user = User {
        name: user.into(),
        ..User::default()
    };
    let caller = Caller {
        user: Arc::new(user),
        method: authentication::Method::FrontProxy,
    };
    Permit::for_tests(caller, asked)
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::try_from(*name).unwrap();
        map.append(name, HeaderValue::try_from(*value).unwrap());
    }
    map
}

fn lines(map: &HeaderMap) -> Vec<(&str, &str)> {
    map.iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect()
}

/// What the backend gets as `Authorization`, and the rest of the headers.
fn sent(logins: &Logins, permit: &Permit, mut map: HeaderMap) -> (Option<String>, HeaderMap) {
    let authorization = logins.authorization(permit, &mut map);
    let text = authorization.map(|value| {
        assert!(value.is_sensitive());
        value.to_str().unwrap().to_owned()
    });
    (text, map)
}

fn cookie(logins: &Logins) -> String {
    let permit = permit("alice", WEB);
    let value = logins.seal(&permit, "/p/", "guest:secret".into()).unwrap();
    format!("{LOGIN_COOKIE}={value}")
}

/// base64 of `guest:secret`.
const BASIC: &str = "Basic Z3Vlc3Q6c2VjcmV0";

#[test]
fn the_header_becomes_the_backends_authorization_and_goes_in_every_spelling() {
    let logins = Logins::new(SessionKey::random(), &[]);
    let map = headers(&[
        ("Accept", "a"),
        ("Throughway-Authorization", "Bearer app"),
        ("throughway_authorization", "Bearer other"),
        ("Range", "r"),
    ]);
    let (authorization, rest) = sent(&logins, &permit("alice", WEB), map);
    assert_eq!(authorization.as_deref(), Some("Bearer app"));
    assert_eq!(lines(&rest), [("accept", "a"), ("range", "r")]);
}

#[test]
fn two_headers_are_none_and_no_cookie_steps_in() {
    let logins = Logins::new(SessionKey::random(), &[]);
    let cookie = cookie(&logins);
    let map = headers(&[
        ("Throughway-Authorization", "Bearer one"),
        ("Throughway-Authorization", "Bearer two"),
        ("Cookie", &cookie),
    ]);
    let (authorization, rest) = sent(&logins, &permit("alice", WEB), map);
    assert_eq!(authorization, None);
    assert!(rest.is_empty());
}

#[test]
fn the_cookie_becomes_basic_and_other_cookies_stay_as_they_are() {
    let logins = Logins::new(SessionKey::random(), &[]);
    let login = cookie(&logins);
    let among = format!("a=b;  {login}; c=\"d\";e");
    for (line, rest) in [
        (among.as_str(), Some("a=b; c=\"d\";e")),
        (&format!("{login}; a=b"), Some("a=b")),
        (&format!("a=b; {login}"), Some("a=b")),
        (&login, None),
        (&format!("{LOGIN_COOKIE}=forged; {login}"), None),
    ] {
        let map = headers(&[("Cookie", line), ("Accept", "a")]);
        let (authorization, left) = sent(&logins, &permit("alice", WEB), map);
        assert_eq!(authorization.as_deref(), Some(BASIC), "{line}");
        let left = left.get("cookie").map(|value| value.to_str().unwrap());
        assert_eq!(left, rest, "{line}");
    }
}

#[test]
fn the_header_counts_before_the_cookie() {
    let logins = Logins::new(SessionKey::random(), &[]);
    let login = cookie(&logins);
    let map = headers(&[
        ("Cookie", login.as_str()),
        ("Throughway-Authorization", "Bearer app"),
    ]);
    let alice = permit("alice", WEB);
    assert_eq!(logins.presented(&alice, &map), Presented::Nothing);
    let (authorization, rest) = sent(&logins, &alice, map);
    assert_eq!(authorization.as_deref(), Some("Bearer app"));
    assert!(rest.is_empty());
}

#[test]
fn nodes_get_nothing_and_neither_name_goes_on() {
    let logins = Logins::new(SessionKey::random(), &[]);
    let node = permit("alice", "/nodes/n1");
    let value = logins.seal(&node, "/p/", "guest:secret".into()).unwrap();
    let login = format!("{LOGIN_COOKIE}={value}");
    for map in [
        headers(&[("Throughway-Authorization", "Bearer app")]),
        headers(&[("Cookie", &login)]),
    ] {
        assert_eq!(logins.presented(&node, &map), Presented::Nothing);
        assert_eq!(sent(&logins, &node, map), (None, HeaderMap::new()));
    }
}

#[test]
fn a_cookie_of_another_user_or_target_is_taken_out_and_not_sent() {
    let logins = Logins::new(SessionKey::random(), &[]);
    let login = cookie(&logins);
    for permit in [
        permit("bob", WEB),
        permit("alice", "/namespaces/demo/services/web:81"),
    ] {
        let map = headers(&[("Cookie", login.as_str())]);
        assert_eq!(logins.presented(&permit, &map), Presented::Nothing);
        assert_eq!(logins.path(&permit, &map), None);
        assert_eq!(sent(&logins, &permit, map), (None, HeaderMap::new()));
    }
}

#[test]
fn other_origins_can_link_but_not_act() {
    let logins = Logins::new(SessionKey::random(), &[]);
    let login = cookie(&logins);
    for (method, site, mode, is_sent) in [
        ("GET", "same-origin", "cors", true),
        ("POST", "same-origin", "navigate", true),
        ("GET", "none", "navigate", true),
        ("GET", "cross-site", "navigate", true),
        ("GET", "same-site", "navigate", true),
        ("POST", "same-site", "navigate", false),
        ("POST", "cross-site", "no-cors", false),
        ("GET", "same-site", "no-cors", false),
        ("GET", "cross-site", "websocket", false),
    ] {
        let map = headers(&[
            ("Cookie", login.as_str()),
            ("Sec-Fetch-Site", site),
            ("Sec-Fetch-Mode", mode),
        ]);
        let permit = permit_for(method, "alice", WEB);
        let presented = logins.presented(&permit, &map);
        let (authorization, rest) = sent(&logins, &permit, map);
        assert_eq!(authorization.is_some(), is_sent, "{method} {site} {mode}");
        assert_eq!(
            presented != Presented::Nothing,
            is_sent,
            "{method} {site} {mode}"
        );
        assert!(!rest.contains_key("cookie"));
    }
}

#[test]
fn what_holds_neither_is_not_touched() {
    let logins = Logins::new(SessionKey::random(), &[]);
    let map = headers(&[
        ("Cookie", "a=b;;  c"),
        ("Cookie", "XThroughway-Login=1"),
        ("Accept", "a"),
    ]);
    let (authorization, rest) = sent(&logins, &permit("alice", WEB), map.clone());
    assert_eq!((authorization, rest), (None, map));
}

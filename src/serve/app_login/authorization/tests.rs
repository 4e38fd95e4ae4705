//! What becomes of `Throughway-Authorization` and of the login cookie.

use super::*;
use crate::serve::client::tests::{permit, permit_for, program};
use crate::serve::client::{BrowserOrigin, ExternalUrl};

const WEB: &str = "/namespaces/demo/services/web:80";

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::try_from(*name).unwrap();
        map.append(name, HeaderValue::try_from(*value).unwrap());
    }
    map
}

/// What the backend gets as `Authorization`.
fn sent(logins: &Logins, permit: &Permit, map: &HeaderMap) -> Option<String> {
    let authorization = logins.authorization(permit, &program(), map).0?;
    assert!(authorization.is_sensitive());
    Some(authorization.to_str().unwrap().to_owned())
}

/// Whether that is a login of which the cookie has been set with this path.
fn app_login(logins: &Logins, permit: &Permit, map: &HeaderMap) -> AppLogin {
    logins.authorization(permit, &program(), map).1
}

fn cookie(logins: &Logins) -> String {
    let permit = permit("alice", WEB);
    let value = logins.seal(&permit, "/p/", "guest:secret".into()).unwrap();
    format!("{LOGIN_COOKIE}={value}")
}

/// base64 of `guest:secret`.
const BASIC: &str = "Basic Z3Vlc3Q6c2VjcmV0";

#[test]
fn the_header_is_the_backends_authorization_as_it_came() {
    let logins = Logins::new(SessionKey::random());
    let map = headers(&[
        ("throughway_authorization", "Bearer other"),
        ("Throughway-Authorization", "Bearer  app,="),
    ]);
    let authorization = sent(&logins, &permit("alice", WEB), &map);
    assert_eq!(authorization.as_deref(), Some("Bearer  app,="));
}

#[test]
fn two_headers_are_none_and_no_cookie_steps_in() {
    let logins = Logins::new(SessionKey::random());
    let cookie = cookie(&logins);
    let map = headers(&[
        ("Throughway-Authorization", "Bearer one"),
        ("Throughway-Authorization", "Bearer two"),
        ("Cookie", &cookie),
    ]);
    assert_eq!(sent(&logins, &permit("alice", WEB), &map), None);
}

#[test]
fn the_cookie_becomes_basic_wherever_it_stands() {
    let logins = Logins::new(SessionKey::random());
    let login = cookie(&logins);
    for lines in [
        &[("Cookie", format!("a=b;  {login}; c=\"d\";e"))][..],
        &[("Cookie", login.clone())],
        &[("Cookie", format!("a=b;{login}"))],
        &[("Cookie", "a=b".into()), ("Cookie", login.clone())],
        // A page of another path on this origin can put one of the same name before ours.
        &[("Cookie", format!("{LOGIN_COOKIE}=forged; {login}"))],
    ] {
        let lines: Vec<(&str, &str)> = lines.iter().map(|(a, b)| (*a, b.as_str())).collect();
        let map = headers(&lines);
        let alice = permit("alice", WEB);
        assert_eq!(
            sent(&logins, &alice, &map).as_deref(),
            Some(BASIC),
            "{lines:?}"
        );
        let path = "/p/".to_owned();
        assert_eq!(app_login(&logins, &alice, &map), AppLogin::Sent { path });
    }
    for line in ["a=b", &format!("X{login}"), &format!("a=b {login}"), ""] {
        let map = headers(&[("Cookie", line)]);
        assert_eq!(sent(&logins, &permit("alice", WEB), &map), None, "{line}");
    }
}

#[test]
fn the_header_counts_before_the_cookie() {
    let logins = Logins::new(SessionKey::random());
    let login = cookie(&logins);
    let map = headers(&[
        ("Cookie", login.as_str()),
        ("Throughway-Authorization", "Bearer app"),
    ]);
    let alice = permit("alice", WEB);
    assert_eq!(app_login(&logins, &alice, &map), AppLogin::Absent);
    assert_eq!(sent(&logins, &alice, &map).as_deref(), Some("Bearer app"));
}

#[test]
fn nodes_get_nothing() {
    let logins = Logins::new(SessionKey::random());
    let node = permit("alice", "/nodes/n1");
    let value = logins.seal(&node, "/p/", "guest:secret".into()).unwrap();
    let login = format!("{LOGIN_COOKIE}={value}");
    for map in [
        headers(&[("Throughway-Authorization", "Bearer app")]),
        headers(&[("Cookie", &login)]),
    ] {
        assert_eq!(app_login(&logins, &node, &map), AppLogin::Absent);
        assert_eq!(sent(&logins, &node, &map), None);
    }
}

#[test]
fn a_cookie_of_another_user_or_target_is_not_sent() {
    let logins = Logins::new(SessionKey::random());
    let login = cookie(&logins);
    for permit in [
        permit("bob", WEB),
        permit("alice", "/namespaces/demo/services/web:81"),
    ] {
        let map = headers(&[("Cookie", login.as_str())]);
        assert_eq!(app_login(&logins, &permit, &map), AppLogin::Absent);
        assert_eq!(logins.path(&permit, &map), None);
        assert_eq!(sent(&logins, &permit, &map), None);
    }
}

#[test]
fn other_origins_can_link_but_not_act() {
    let logins = Logins::new(SessionKey::random());
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
        let presented = app_login(&logins, &permit, &map) != AppLogin::Absent;
        let authorization = sent(&logins, &permit, &map);
        assert_eq!(
            (authorization.is_some(), presented),
            (is_sent, is_sent),
            "{method} {site} {mode}"
        );
    }
}

/// Any port of the machine has an origin of loopback, and cookies know no ports.
#[test]
fn a_websocket_of_an_origin_that_is_not_known_gets_no_login() {
    let logins = Logins::new(SessionKey::random());
    let login = cookie(&logins);
    let map = headers(&[
        ("Cookie", login.as_str()),
        ("Origin", "http://localhost:9999"),
        ("Upgrade", "websocket"),
    ]);
    let alice = permit("alice", WEB);
    let unknown = program();
    let sent = logins.authorization(&alice, &unknown, &map);
    assert_eq!(sent, (None, AppLogin::Absent));
    let known = ClientInfo {
        external: ExternalUrl {
            origin: Some(BrowserOrigin {
                scheme: "http",
                host: "localhost:8001".into(),
            }),
            ..ExternalUrl::default()
        },
        ..program()
    };
    let (authorization, login) = logins.authorization(&alice, &known, &map);
    assert!(authorization.is_some());
    assert_ne!(login, AppLogin::Absent);
}

#[test]
fn no_more_than_eight_cookies_are_opened() {
    let logins = Logins::new(SessionKey::random());
    let login = cookie(&logins);
    let after = |others: usize| {
        let line = format!("{}{login}", "Throughway-Login=x; ".repeat(others));
        sent(
            &logins,
            &permit("alice", WEB),
            &headers(&[("Cookie", &line)]),
        )
    };
    assert!(after(7).is_some());
    assert_eq!(after(8), None);
}

//! Which origins and paths are believed, of whom.

use super::super::page_token::PageTokens;
use super::super::tests::permit;
use super::*;
use crate::serve::certificates::SessionKey;

const PREFIX: &str = "/apis/throughway.dev/v1/namespaces/demo/services/web:80/proxy";
const OTHER: &str = "/apis/throughway.dev/v1/namespaces/demo/services/other:80/proxy";

fn seen(lines: &[(&'static str, &str)]) -> ExternalUrl {
    let headers = lines.iter().map(|(name, value)| {
        let value = value.replace("PREFIX", PREFIX).replace("OTHER", OTHER);
        (HeaderName::from_static(name), value.parse().unwrap())
    });
    let known = KnownOrigins {
        listed: &listed(),
        own: None,
    };
    ExternalUrl::of(&headers.collect(), PREFIX, &known, &OfferedToken::default())
}

fn listed() -> [ExternalOrigin; 2] {
    let listed = |host: &str, path: &str| ExternalOrigin {
        scheme: "https",
        host: host.to_owned(),
        path: path.to_owned(),
    };
    [
        listed("rancher.example.com", "/k8s/clusters/c-1"),
        listed("hub.example", "/user/x/proxy/8001"),
    ]
}

fn known(
    scheme: &'static str,
    host: &str,
    prefix: Option<&str>,
    page: Option<&str>,
) -> ExternalUrl {
    ExternalUrl {
        origin: Some(BrowserOrigin {
            scheme,
            host: host.to_owned(),
        }),
        prefix: prefix.map(|prefix| prefix.replace("PREFIX", PREFIX)),
        page: page.map(str::to_owned),
    }
}

const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");

#[test]
fn a_page_of_the_target_says_how_it_is_seen() {
    let referer = |value| seen(&[SAME, ("referer", value)]);
    assert_eq!(
        referer("http://127.0.0.1:8001PREFIX/a?b#c"),
        known("http", "127.0.0.1:8001", Some("PREFIX"), Some("/a?b"))
    );
    assert_eq!(
        referer("https://rancher.example.com/k8s/clusters/c-1PREFIX/"),
        known(
            "https",
            "rancher.example.com",
            Some("/k8s/clusters/c-1PREFIX"),
            Some("/")
        )
    );
}

#[test]
fn a_page_that_keeps_its_path_to_itself_is_known_by_its_origin() {
    assert_eq!(
        seen(&[SAME, ("referer", "http://127.0.0.1:8001/")]),
        known("http", "127.0.0.1:8001", None, Some("/"))
    );
    assert_eq!(
        seen(&[SAME, ("origin", "http://127.0.0.1:8001")]),
        known("http", "127.0.0.1:8001", None, None)
    );
}

#[test]
fn another_proxy_in_front_is_no_target() {
    let referer = "https://hub.example/user/x/proxy/8001PREFIX/a";
    assert_eq!(
        seen(&[SAME, ("referer", referer)]),
        known(
            "https",
            "hub.example",
            Some("/user/x/proxy/8001PREFIX"),
            Some("/a")
        )
    );
}

#[test]
fn a_path_in_front_is_believed_where_it_is_listed() {
    for (referer, host, page) in [
        (
            "https://rancher.example.com/k8s/clusters/c-evilPREFIX/a",
            "rancher.example.com",
            "/a",
        ),
        (
            "https://rancher.example.com/k8s/clusters/c-1/PREFIX/",
            "rancher.example.com",
            "/",
        ),
        (
            "https://hub.example/k8s/clusters/c-1PREFIX/",
            "hub.example",
            "/",
        ),
    ] {
        assert_eq!(
            seen(&[SAME, ("referer", referer)]),
            known("https", host, None, Some(page)),
            "{referer}"
        );
    }
    let custom = "http://127.0.0.1:8001/custom/k8s-apiPREFIX/";
    assert_eq!(
        seen(&[SAME, ("referer", custom)]),
        known("http", "127.0.0.1:8001", None, Some("/"))
    );
}

#[test]
fn a_websocket_is_known_by_listed_origins_and_not_by_loopback() {
    let origin = |origin| seen(&[("origin", origin)]).origin;
    assert!(origin("https://rancher.example.com").is_some());
    for loopback in [
        "http://127.0.0.1:8001",
        "http://localhost:9999",
        "http://web.demo.svc.localhost:8001",
        "http://[::1]:8001",
    ] {
        assert_eq!(origin(loopback), None, "{loopback}");
    }
}

#[test]
fn a_websocket_that_shows_the_token_of_a_page_comes_from_where_it_says() {
    let tokens = PageTokens::new(SessionKey::random());
    let alice = permit("alice", "/namespaces/demo/services/web:80");
    let of = |origin: &str, token: &str, listed: &[ExternalOrigin]| {
        let mut headers = HeaderMap::new();
        headers.insert("origin", origin.parse().unwrap());
        headers.insert("sec-websocket-protocol", token.parse().unwrap());
        let token = tokens.take(&alice, &mut headers);
        let known = KnownOrigins { listed, own: None };
        ExternalUrl::of(&headers, PREFIX, &known, &token).origin
    };
    let token = tokens.issue(&alice);
    assert!(of("http://localhost:8001", &token, &[]).is_some());
    assert!(of("http://localhost:8001", &token, &listed()).is_some());
    assert!(of("https://front.example", &token, &[]).is_some());
    assert_eq!(of("https://front.example", &token, &listed()), None);
    assert_eq!(of("null", &token, &[]), None);
    let forged = format!("{token}x");
    assert_eq!(of("http://localhost:8001", &forged, &[]), None);
}

#[test]
fn a_direct_callers_own_host_is_known() {
    let headers = |origin: &str| HeaderMap::from_iter([(header::ORIGIN, origin.parse().unwrap())]);
    let known = KnownOrigins {
        listed: &[],
        own: Some("https://Throughway.example:6443".to_owned()),
    };
    let of = |origin: &str| {
        let headers = headers(origin);
        ExternalUrl::of(&headers, PREFIX, &known, &OfferedToken::default()).origin
    };
    assert!(of("https://throughway.example:6443").is_some());
    assert_eq!(of("http://throughway.example:6443"), None);
    assert_eq!(of("https://throughway.example"), None);
}

/// `Sec-Fetch-Site` keeps pages honest, and programs can send what they like.
#[test]
fn where_origins_are_listed_only_they_and_loopback_are_believed() {
    let origin = |origin| seen(&[SAME, ("origin", origin)]).origin;
    for known in [
        "https://rancher.example.com",
        "http://127.0.0.1:8001",
        "http://web.demo.svc.localhost:8001",
    ] {
        assert!(origin(known).is_some(), "{known}");
    }
    for stranger in [
        "https://evil.example",
        "http://rancher.example.com",
        "https://rancher.example.com:444",
    ] {
        assert_eq!(origin(stranger), None, "{stranger}");
    }
}

#[test]
fn nothing_is_known_of_strangers() {
    for lines in [
        &[][..],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://rancher.example.com")],
        &[("origin", "https://rancher.example.com.evil.example")],
        &[("origin", "https://rancher.example.com@evil.example")],
        &[("origin", "http://127.0.0.1.evil.example")],
        &[("origin", "http://localhost.evil.example")],
        &[
            ("origin", "http://127.0.0.1:8001"),
            ("sec-fetch-site", "cross-site"),
        ],
        &[
            ("origin", "http://127.0.0.1:8001"),
            ("sec-fetch-site", "same-site"),
        ],
        &[
            ("origin", "http://127.0.0.1:8001"),
            ("sec-fetch-site", "none"),
        ],
        &[
            ("origin", "https://evil.example"),
            ("referer", "http://127.0.0.1:8001PREFIX/"),
        ],
        // A sandboxed page of the target's own.
        &[
            ("origin", "null"),
            ("referer", "http://127.0.0.1:8001PREFIX/"),
        ],
        &[
            SAME,
            ("origin", "null"),
            ("referer", "http://127.0.0.1:8001PREFIX/"),
        ],
        &[
            ("origin", "chrome-extension://abc"),
            ("referer", "http://127.0.0.1:8001PREFIX/"),
        ],
        // No browser sends two origins.
        &[
            ("origin", "http://127.0.0.1:8001"),
            ("referer", "http://evil.examplePREFIX/"),
        ],
    ] {
        assert_eq!(seen(lines), ExternalUrl::default(), "{lines:?}");
    }
}

#[test]
fn a_page_of_another_app_on_the_same_origin_is_none_of_the_targets() {
    for lines in [
        &[
            SAME,
            ("origin", "http://127.0.0.1:8001"),
            ("referer", "http://127.0.0.1:8001OTHER/"),
        ][..],
        &[
            ("origin", "http://127.0.0.1:8001"),
            ("referer", "http://127.0.0.1:8001OTHER/?PREFIX/"),
        ],
        &[SAME, ("referer", "http://127.0.0.1:8001PREFIXED/")],
        // A page of another app whose own path ends in this target's, to have its cookies set there.
        &[SAME, ("referer", "http://127.0.0.1:8001OTHERPREFIX/")],
        &[
            SAME,
            (
                "referer",
                "http://127.0.0.1:8001/api/v1/nodes/n/proxyPREFIX/",
            ),
        ],
        // Paths that a script gave itself, and that would mean something in a cookie's path, or hide something.
        &[
            SAME,
            ("referer", "http://127.0.0.1:8001/x;SameSite=NonePREFIX/"),
        ],
        &[SAME, ("referer", "http://127.0.0.1:8001/%70roxyPREFIX/")],
    ] {
        assert_eq!(seen(lines), ExternalUrl::default(), "{lines:?}");
    }
}

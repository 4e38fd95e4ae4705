//! What the built-in proxy changes, and what is left of it.

use super::*;

const PREFIX: &str = "/api/v1/namespaces/demo/services/app/proxy";
const HOST: &str = "app.demo.svc.localhost:8001";

#[test]
fn redirects_lead_into_the_origin_again() {
    for (location, expected) in [
        (
            "/api/v1/namespaces/demo/services/app/proxy/login?a=b",
            "/login?a=b",
        ),
        ("/api/v1/namespaces/demo/services/app/proxy", "/"),
        ("/api/v1/namespaces/demo/services/app/proxy?a#b", "/?a#b"),
        (
            "https://sso.example/?to=http://app.demo.svc.localhost:8001/api/v1/namespaces/demo/services/app/proxy/x",
            "https://sso.example/?to=http://app.demo.svc.localhost:8001/api/v1/namespaces/demo/services/app/proxy/x",
        ),
        (
            "/api/v1/namespaces/demo/services/app/proxy//e.example/",
            "/.//e.example/",
        ),
        (
            "/api/v1/namespaces/demo/services/app/proxyy",
            "/api/v1/namespaces/demo/services/app/proxyy",
        ),
        ("/api/v1/namespaces/demo/services/app/proxy\t", "/"),
        ("/api/v1/namespaces/demo/services/app\t/proxy/x", "/x"),
        (
            "/api/v1/namespaces/demo/services/app/proxy/\t/e.example/",
            "/.//e.example/",
        ),
        ("/a\tb", "/a\tb"),
        ("/login", "/login"),
        ("login", "login"),
        (
            "http://app.demo.svc.localhost:8001/api/v1/namespaces/demo/services/app/proxy/x",
            "http://app.demo.svc.localhost:8001/x",
        ),
        (
            "https://sso.example/?to=http://app.demo.svc.localhost:8001/x",
            "https://sso.example/?to=http://app.demo.svc.localhost:8001/x",
        ),
    ] {
        assert_eq!(inside(location, PREFIX, HOST), expected);
    }
}

#[test]
fn no_path_leads_out_of_its_target() {
    for path in [
        "/..",
        "/..%2fapi",
        "/..%2F..%2F..%2fapi/v1/secrets",
        "/a/..%2f..%2fb",
        "/%2e%2e%2fb",
        "/%2e%2e/b",
        "/a/%2e./..",
        "/..%5cb",
        "/..\\b",
        "/a//../../b",
        "/./../b",
    ] {
        assert!(refuse_leading_out(path).is_err(), "{path}");
    }
    for path in [
        "/",
        "/a/../b",
        "/a%2f..%2fb",
        "/a/b/..%2f..%2fc",
        "/...",
        "/..a",
        "/a..",
        "/%252e%252e%252fb",
        "/a%ff",
    ] {
        assert!(refuse_leading_out(path).is_ok(), "{path}");
    }
}

#[test]
fn who_reads_trailers_says_so_to_the_target() {
    let mut headers = HeaderMap::new();
    headers.insert(header::TE, HeaderValue::from_static("gzip, trailers"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("TE"));
    to_api_server(&mut headers);
    assert_eq!(headers[header::TE], "trailers");
    assert!(!headers.contains_key(header::CONNECTION));
}

#[test]
fn nothing_that_claims_an_identity_reaches_the_api_server() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("impersonate-user", "system:admin"),
        ("impersonate-extra-scopes", "all"),
        ("x-remote-group", "system:masters"),
        ("authorization", "Bearer theirs"),
        ("connection", "x-csrf"),
        ("x-csrf", "1"),
        ("throughway-path", "/x"),
        (
            "sec-websocket-protocol",
            "chat, base64url.bearer.authorization.k8s.io.eA, v2",
        ),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    to_api_server(&mut headers);
    let left: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(left, [("sec-websocket-protocol", "chat, v2")]);
}

#[test]
fn pages_are_asked_for_plain_and_their_parts_as_gzip_at_most() {
    for (dest, accepted, expected) in [
        (Some("document"), "gzip, deflate, br, zstd", None),
        (None, "gzip", None),
        (Some("empty"), "gzip", None),
        (Some("script"), "gzip, deflate, br, zstd", Some("gzip")),
        (Some("image"), "br", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        if let Some(dest) = dest {
            headers.insert(SEC_FETCH_DEST, HeaderValue::from_static(dest));
        }
        to_api_server(&mut headers);
        let redirects = headers
            .get(header::ACCEPT_ENCODING)
            .map(|value| value.to_str().unwrap());
        assert_eq!(redirects, expected, "{dest:?} {accepted}");
    }
}

#[test]
fn what_the_api_server_adds_goes_and_what_the_target_says_stays() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("audit-id", "1"),
        ("cache-control", "no-cache, private"),
        ("cache-control", "max-age=60"),
        ("x-kubernetes-pf-flowschema-uid", "1"),
        ("etag", "\"x\""),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    from_api_server(&mut headers, PREFIX, HOST);
    let left: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(left, [("etag", "\"x\""), ("cache-control", "max-age=60")]);
}

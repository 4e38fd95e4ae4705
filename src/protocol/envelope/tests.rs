//! What the envelope carries, what it keeps out, and what an origin is.

use super::*;

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

const SEEN_AT: &str = "http://grafana.monitoring.svc.localhost:8001";

#[test]
fn a_request_arrives_as_it_was_sent() {
    let sent = headers(&[
        ("accept", "text/html"),
        ("content-length", "3"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("authorization", "Basic YQ=="),
        ("x-forwarded-host", "its.own"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
    ]);
    let mut carrier = wrap_request(sent.clone(), HeaderValue::from_static(SEEN_AT));
    for (name, value) in [
        ("x-forwarded-for", "10.0.0.1"),
        ("accept-encoding", "gzip"),
        ("x-remote-user", "front-proxy"),
        ("audit-id", "1"),
    ] {
        carrier.append(name, HeaderValue::from_static(value));
    }
    let origin = unwrap_request(&mut carrier).unwrap().unwrap();
    assert_eq!(origin.host, "grafana.monitoring.svc.localhost:8001");
    let mut expected = sent;
    expected.append("x-forwarded-for", HeaderValue::from_static("10.0.0.1"));
    assert_eq!(lines(&carrier), lines(&expected));
}

#[test]
fn nothing_on_the_way_reads_what_a_page_sends() {
    let sent = headers(&[
        ("impersonate-user", "system:admin"),
        ("authorization", "Bearer theirs"),
        (
            "sec-websocket-protocol",
            "base64url.bearer.authorization.k8s.io.eA",
        ),
        ("x-remote-group", "system:masters"),
        ("throughway-path", "/../.."),
    ]);
    let wrapped = wrap_request(sent, HeaderValue::from_static(SEEN_AT));
    assert_eq!(
        wrapped.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
        [
            "throughway-request-impersonate-user",
            "throughway-request-authorization",
            "throughway-request-sec-websocket-protocol",
            "throughway-request-x-remote-group",
            "throughway-origin"
        ]
    );
}

#[test]
fn an_envelope_smuggles_no_framing_and_no_header_of_ours() {
    let mut arriving = headers(&[
        ("throughway-origin", SEEN_AT),
        ("throughway-request-content-length", "5"),
        ("throughway-request-transfer-encoding", "chunked"),
        ("throughway-request-connection", "x-forwarded-for"),
        ("throughway-request-host", "elsewhere"),
        ("throughway-request-upgrade", "websocket"),
        ("throughway-request-expect", "100-continue"),
        ("throughway-request-proxy-authorization", "Basic YQ=="),
        ("throughway-request-throughway-path", "/x"),
        ("throughway-request-", "nameless"),
        ("throughway-request-x", "1"),
    ]);
    unwrap_request(&mut arriving).unwrap();
    assert_eq!(lines(&arriving), [("x".to_owned(), "1".to_owned())]);
}

#[test]
fn only_methods_without_a_verb_travel_inside() {
    let inside = |name: &str| is_inside(&name.parse().unwrap());
    for name in [
        "PROPFIND",
        "REPORT",
        "OPTIONS",
        "M-SEARCH",
        "UPDATEREDIRECTREF",
    ] {
        assert!(inside(name), "{name}");
    }
    for name in NEVER_INSIDE {
        assert!(!inside(name), "{name}");
    }
    for name in ["delete", "Propfind", "X_Y", "GET1"] {
        assert!(!inside(name), "{name}");
    }
    assert!(!inside(&"A".repeat(MAX_METHOD_BYTES + 1)));
}

#[test]
fn only_an_origin_is_an_origin() {
    for wrong in [
        "",
        "null",
        "grafana.localhost",
        "ftp://a",
        "http://",
        "http://a/b",
        "http://a@b",
        "http://a b",
        "http://a,b",
        "http://a:b:c:d]",
    ] {
        let mut arriving = headers(&[("throughway-origin", wrong)]);
        assert_eq!(unwrap_request(&mut arriving), Err(NoOrigin), "{wrong}");
    }
    let mut twice = headers(&[
        ("throughway-origin", SEEN_AT),
        ("throughway-origin", SEEN_AT),
    ]);
    assert_eq!(unwrap_request(&mut twice), Err(NoOrigin));
    assert_eq!(unwrap_request(&mut HeaderMap::new()), Ok(None));
}

#[test]
fn an_origin_says_whether_only_the_browsers_machine_has_it() {
    for (text, is_loopback) in [
        (SEEN_AT, true),
        ("http://localhost:9090", true),
        ("http://[::1]:8001", true),
        ("https://rancher.example.com", false),
        ("http://localhost.evil.example", false),
        ("http://169.254.169.254", false),
    ] {
        let mut arriving = headers(&[("throughway-origin", text)]);
        let origin = unwrap_request(&mut arriving).unwrap().unwrap();
        assert_eq!(origin.is_loopback(), is_loopback, "{text}");
        assert_eq!(origin.to_string(), text);
    }
}

#[test]
fn a_response_means_nothing_to_others_and_all_to_the_companion() {
    let given = headers(&[
        ("set-cookie", "a=1; Path=/"),
        ("set-cookie", "b=2; HttpOnly"),
        ("location", "/login"),
        ("content-type", "text/html"),
        ("content-length", "9"),
        ("cache-control", "max-age=60"),
        ("clear-site-data", "\"*\""),
        ("www-authenticate", "Basic realm=x"),
    ]);
    let mut origin = headers(&[("throughway-origin", SEEN_AT)]);
    let origin = unwrap_request(&mut origin).unwrap().unwrap();
    let mut response = given.clone();
    wrap_response(&mut response, &origin);
    let outside: Vec<_> = response
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| !name.starts_with("throughway-response-"))
        .collect();
    assert_eq!(
        outside,
        [
            "content-length",
            "throughway-origin",
            "content-type",
            "x-content-type-options",
            "cache-control"
        ]
    );
    response.append(
        "cache-control",
        HeaderValue::from_static("no-cache, private"),
    );
    response.append("audit-id", HeaderValue::from_static("1"));
    assert!(unwrap_response(&mut response));
    assert_eq!(lines(&response), lines(&given));
}

#[test]
fn a_response_of_somebody_on_the_way_is_not_the_backends() {
    let mut response = headers(&[
        ("content-type", "application/json"),
        ("throughway-response-x", "1"),
    ]);
    let before = lines(&response);
    assert!(!unwrap_response(&mut response));
    assert_eq!(lines(&response), before);
}

//! What comes from pages of other sites, and what an envelope may bring, on the whole road of the server.

use http::StatusCode;
use serde_json::Value;
use throughway_testing::client::{ClientResponse, request};

use crate::{Setting, service};

async fn ask(s: &Setting, method: &str, inside: &str, headers: &[(&str, &str)]) -> ClientResponse {
    let path = service("web", inside);
    let asked = request(method, &path, headers, "");
    s.client("alice").ask(asked).await
}

/// What the backend got, as names in lower case and values.
fn arrived(echoed: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers = echoed["headers"].as_array().unwrap().iter();
    headers
        .map(|header| (text(&header[0]).to_ascii_lowercase(), text(&header[1])))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_may_only_link_and_is_told_how() {
    let s = Setting::new().await;
    let foreign = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "no-cors"),
        ("Sec-Fetch-Dest", "image"),
    ];
    for method in ["GET", "POST"] {
        let refused = ask(&s, method, "/echo", &foreign).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        let status = refused.json();
        assert_eq!(status["kind"], "Status");
        let message = status["message"].as_str().unwrap();
        assert!(message.contains("--cross-site"), "{message}");
        assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
    }
    let link = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    ];
    assert_eq!(ask(&s, "GET", "/echo", &link).await.status, StatusCode::OK);
    assert_eq!(ask(&s, "POST", "/echo", &[]).await.status, StatusCode::OK);
    let origin = [("Origin", "http://localhost:9999")];
    let refused = ask(&s, "POST", "/echo", &origin).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        refused.json()["message"]
            .as_str()
            .unwrap()
            .contains("--external-origin")
    );
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_right_learns_nothing_from_the_guard() {
    let s = Setting::new().await;
    let foreign = [("Sec-Fetch-Site", "cross-site")];
    for name in ["web", "none"] {
        let path = service(name, "/");
        let bob = s.client("bob");
        let with = bob.ask(request("GET", &path, &foreign, "")).await.json();
        let without = s.get("bob", &path).await.json();
        assert_eq!(with["message"], without["message"], "{name}");
    }
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_can_switch_the_guard_off() {
    let s = Setting::with(|config| {
        config.forward.cross_site = throughway::protocol::fetch_metadata::CrossSitePolicy::Allow;
    })
    .await;
    let foreign = [("Sec-Fetch-Site", "cross-site")];
    let response = ask(&s, "POST", "/echo", &foreign).await;
    assert_eq!(response.status, StatusCode::OK);
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_names_an_origin_that_users_see() {
    let s = Setting::with(|config| {
        config.forward.external_origins = vec![throughway::serve::config::ExternalOrigin {
            scheme: "https",
            host: "web.apps.example".into(),
            path: String::new(),
        }];
    })
    .await;
    for (origin, status) in [
        ("http://web.demo.svc.localhost:8001", StatusCode::OK),
        ("http://localhost:9090", StatusCode::OK),
        ("https://web.apps.example", StatusCode::OK),
        ("http://web.apps.example", StatusCode::BAD_REQUEST),
        ("http://evil.example", StatusCode::BAD_REQUEST),
        ("http://10.0.0.1", StatusCode::BAD_REQUEST),
        ("http://localhost.evil.example", StatusCode::BAD_REQUEST),
    ] {
        let headers = [("Throughway-Origin", origin)];
        let response = ask(&s, "GET", "/echo", &headers).await;
        assert_eq!(response.status, status, "{origin}");
    }
    s.end().await;
}

/// CVE-2025-64484: some backends read `_` as `-`.
#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_brings_no_identity_however_it_is_spelled() {
    let s = Setting::new().await;
    let headers = [
        ("Throughway-Origin", "http://web.demo.svc.localhost:8001"),
        ("Throughway-Request-X-Remote-User", "root"),
        ("Throughway-Request-X_Remote_Group", "system:masters"),
        ("Throughway-Request-X_Cluster_User", "root"),
        ("Throughway-Request-X-Remote_Extra-Scopes", "all"),
        ("Throughway-Request-Impersonate_User", "root"),
        ("Throughway-Request-X_Forwarded_For", "10.9.9.9"),
        ("Throughway-Request-X_Forwarded_Host", "evil.example"),
        ("Throughway-Request-Throughway_Path", "/other"),
        ("Throughway-Request-Authorization", "Basic YQ=="),
        ("Throughway-Request-X-Own", "1"),
    ];
    let echoed = ask(&s, "GET", "/echo", &headers).await.json();
    let mut names: Vec<String> = arrived(&echoed).into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "authorization",
            "host",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-own"
        ]
    );
    s.end().await;
}

/// CVE-2026-40575: who asks for what is read from the request line alone.
#[tokio::test(flavor = "multi_thread")]
async fn no_forwarded_header_changes_what_is_asked_or_who_asks() {
    let s = Setting::new().await;
    let headers = [
        ("X-Forwarded-Uri", "/healthz"),
        ("X-Original-URL", "/healthz"),
        ("X-Rewrite-URL", "/healthz"),
        ("X-Forwarded-User", "root"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Host", "localhost:8001"),
    ];
    let path = service("web", "/echo");
    let bob = s.client("bob");
    let refused = bob.ask(request("GET", &path, &headers, "")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let mut overridden = headers.to_vec();
    overridden.push(("X-HTTP-Method-Override", "GET"));
    let refused = ask(&s, "DELETE", "/echo", &overridden).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    // Nor does a forwarded host make a foreign Origin this server's own.
    overridden.push(("Origin", "http://localhost:8001"));
    let refused = ask(&s, "POST", "/echo", &overridden).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_of_webdav_arrives_for_who_may_create_and_a_verb_is_got_by_no_detour() {
    let s = Setting::new().await;
    let origin = ("Throughway-Origin", "http://web.demo.svc.localhost:8001");
    let line = |line: &'static str| [origin, ("Throughway-Path", line)];
    let found = ask(&s, "POST", "/", &line("PROPFIND /echo")).await;
    assert_eq!(found.json()["method"], "PROPFIND");
    let found = ask(&s, "POST", "/", &line("DELETE /echo")).await;
    assert_eq!(found.status, StatusCode::METHOD_NOT_ALLOWED);
    let path = service("web", "/");
    let asked = request("POST", &path, &line("PROPFIND /echo"), "");
    let refused = s.client("bob").ask(asked).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let found = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(found.contains("cannot create"), "{found}");
    s.end().await;
}

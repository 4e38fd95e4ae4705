//! What callers may take, and how odd requests end: a Status, never a panic.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use throughway_testing::client::request;
use throughway_testing::tls::trusting_any_server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::faults::websocket;
use crate::{LIMIT, Setting, service};

#[tokio::test(flavor = "multi_thread")]
async fn headers_have_limits_and_beyond_them_is_431() {
    let s = Setting::new().await;
    let alice = s.client("alice");
    let names: Vec<String> = (0..1100).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
    let response = alice
        .ask(request("GET", &service("web", "/"), &many[..200], ""))
        .await;
    assert!(response.status.is_success(), "{}", response.text());
    let response = alice
        .ask(request("GET", &service("web", "/"), &many[..400], ""))
        .await;
    assert_eq!(
        (response.status.as_u16(), &response.json()["kind"]),
        (431, &"Status".into())
    );
    let large = "v".repeat(65 << 10);
    let response = alice
        .ask(request(
            "GET",
            &service("web", "/"),
            &[("x-large", &large)],
            "",
        ))
        .await;
    assert_eq!(
        (response.status.as_u16(), &response.json()["kind"]),
        (431, &"Status".into())
    );
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_methods_and_paths_are_refused_after_it_is_known_who_asks() {
    let s = Setting::new().await;
    for (method, path, code) in [
        ("TRACE", service("web", "/"), 405),
        ("PROPFIND", service("web", "/"), 405),
        (
            "GET",
            "/apis/throughway.dev/v1/namespaces/demo/services/a%2Fb/proxy/".into(),
            400,
        ),
        (
            "GET",
            "/apis/throughway.dev/v1/services/web/proxy/".into(),
            404,
        ),
        (
            "GET",
            "/apis/throughway.dev/v1/namespaces/demo/nodes/n/proxy/".into(),
            404,
        ),
        ("GET", "/apis/throughway.dev/v1/nothing".into(), 404),
        ("GET", "/nothing".into(), 404),
    ] {
        let response = s.client("root").ask(request(method, &path, &[], "")).await;
        assert_eq!(
            (response.status.as_u16(), &response.json()["kind"]),
            (code, &"Status".into()),
            "{method} {path}"
        );
    }
    let unknown = s
        .client("")
        .with_token("nobody")
        .ask(request("TRACE", &service("web", "/"), &[], ""))
        .await;
    assert_eq!(unknown.status, 401);
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_end_the_connection_and_nothing_else() {
    let s = Setting::new().await;
    for bytes in [
        &b"\x00\x01\x02\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX",
    ] {
        let mut stream = s.client("").connect().await;
        stream.write_all(bytes).await.unwrap();
        let mut response = Vec::new();
        // A reset is as good an end as a close.
        let _ = stream.read_to_end(&mut response).await;
        let response = String::from_utf8_lossy(&response);
        assert!(
            response.is_empty() || response.starts_with("HTTP/1.1 4"),
            "{bytes:?}: {response}"
        );
    }
    s.assert_alice_is_served().await;
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_never_resumed() {
    let s = Setting::new().await;
    let config = Arc::new(trusting_any_server(b"http/1.1"));
    for _ in 0..2 {
        let tcp = tokio::net::TcpStream::connect(s.address).await.unwrap();
        let name = ServerName::IpAddress(s.address.ip().into());
        let mut stream = TlsConnector::from(Arc::clone(&config))
            .connect(name, tcp)
            .await
            .unwrap();
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Full));
    }
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_those_who_may_read_them() {
    let s = Setting::new().await;
    s.assert_alice_is_served().await;
    assert_eq!(s.get("alice", "/metrics").await.status, 403);
    assert_eq!(s.get("", "/metrics").await.status, 401);
    let metrics = s.get("root", "/metrics").await;
    assert!(metrics.text().contains(r#"apiserver_request_total{verb="get",resource="services",subresource="proxy",code="200"} 1"#), "{}", metrics.text());
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_places_are_429() {
    let s = Setting::with(|config| config.listen.limits.max_requests_in_flight = 1).await;
    let alice = s.client("alice");
    let held = alice
        .send(request("GET", &service("web", "/drip"), &[], ""))
        .await;
    let response = s.get("alice", &service("web", "/")).await;
    assert_eq!(
        (response.status.as_u16(), response.header("retry-after")),
        (429, Some("1"))
    );
    drop(held);
    s.until("the place is free again", async |s| {
        s.get("alice", &service("web", "/"))
            .await
            .status
            .is_success()
    })
    .await;
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_takes_no_place_among_the_requests() {
    let s = Setting::with(|config| config.listen.limits.max_requests_in_flight = 1).await;
    let socket = websocket(&s).await;
    let response = s.get("alice", &service("web", "/")).await;
    assert!(response.status.is_success(), "{}", response.text());
    drop(socket);
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_says_401_to_strangers_and_lets_masters_in() {
    let s = Setting::with(|config| config.listen.limits.max_requests_in_flight = 1).await;
    let alice = s.client("alice");
    let held = alice
        .send(request("GET", &service("web", "/drip"), &[], ""))
        .await;
    assert!(held.status().is_success(), "{held:?}");
    assert_eq!(s.get("alice", &service("web", "/")).await.status, 429);
    for stranger in ["", "nobody"] {
        assert_eq!(s.get(stranger, &service("web", "/")).await.status, 401);
    }
    let master = s.get("root", &service("web", "/")).await;
    assert!(master.status.is_success(), "{}", master.text());
    drop(held);
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_health_and_no_document() {
    let s = Setting::new().await;
    for path in [
        "/version",
        "/apis",
        "/apis/throughway.dev/v1",
        "/openapi/v3",
        "/",
    ] {
        for stranger in ["", "nobody"] {
            assert_eq!(s.get(stranger, path).await.status, 401, "{path}");
        }
        assert!(s.get("bob", path).await.status.is_success(), "{path}");
    }
    for path in ["/livez", "/readyz", "/healthz", "/readyz/informer-sync"] {
        assert!(s.get("", path).await.status.is_success(), "{path}");
    }
    assert!(s.cluster.api.asked("subjectaccessreviews") == 0);
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_heads_of_strangers_have_one_bound_for_all_of_them() {
    // Nothing else ends a connection while the test runs.
    let s = Setting::with(|config| config.listen.limits.header_read_timeout = 2 * LIMIT).await;
    let head = [&b"GET / HTTP/1.1\r\nX-Long: "[..], &[b'x'; 63 << 10]].concat();
    let mut open = JoinSet::new();
    for _ in 0..150 {
        let mut stream = s.client("").connect().await;
        // It fails where the connection is closed already.
        let _ = stream.write_all(&head).await;
        open.spawn(async move { stream.read_to_end(&mut Vec::new()).await });
    }
    let closed = tokio::time::timeout(LIMIT, open.join_next()).await;
    assert!(closed.is_ok(), "more than 8 MiB are held");
    open.shutdown().await;
    s.end().await;
}

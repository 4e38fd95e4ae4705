//! What a caller can do to a server before it says anything reasonable: streams without end, headers without end,
//! silence.

use std::time::Duration;

use bytes::Bytes;
use throughway_testing::client::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::{LIMIT, Setting, service};

/// A TLS connection on which HTTP/2 was agreed.
async fn connect_http2(s: &Setting) -> TlsStream<TcpStream> {
    let stream = Client::offering(s.address, b"h2").connect().await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream
}

async fn assert_still_serving(s: Setting) {
    let response = s.get("alice", &service("web", "/")).await;
    assert!(response.status.is_success(), "{}", response.text());
    s.end().await;
}

/// An HTTP/2 frame (RFC 9113 section 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

pub const HEADERS: u8 = 0x1;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const CONTINUATION: u8 = 0x9;

/// The client's side of HTTP/2 begins like this.
pub fn preface() -> Vec<u8> {
    [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &frame(SETTINGS, 0, 0, b""),
    ]
    .concat()
}

/// CVE-2023-44487.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_at_once_end_the_connection() {
    const END_OF_STREAM_AND_HEADERS: u8 = 0x5;
    // `:method GET`, `:scheme https`, `:path /`, all in HPACK's static table, and `:authority a`.
    let get = b"\x82\x87\x84\x41\x01a";
    let cancel = 8u32.to_be_bytes();
    let s = Setting::new().await;
    let mut stream = connect_http2(&s).await;
    let mut flood = preface();
    for number in (1..2000).step_by(2) {
        flood.extend(frame(HEADERS, END_OF_STREAM_AND_HEADERS, number, get));
        flood.extend(frame(RST_STREAM, 0, number, &cancel));
    }
    // The server may be gone before the last of it.
    let _ = stream.write_all(&flood).await;
    let _ = stream.flush().await;
    let mut rest = Vec::new();
    let end = stream.read_to_end(&mut rest);
    let ended = tokio::time::timeout(LIMIT, end).await;
    assert!(ended.is_ok(), "the connection was not ended");
    assert_still_serving(s).await;
}

/// CVE-2024-27316 and its like: a header block that never ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_block_without_end_ends_the_connection() {
    // A literal header without indexing: name "x", 127 bytes of value and no end in sight.
    let field = [&b"\x00\x01x\x7f\x00"[..], &[b'v'; 127]].concat();
    let s = Setting::new().await;
    let mut stream = connect_http2(&s).await;
    stream.write_all(&preface()).await.unwrap();
    stream
        .write_all(&frame(HEADERS, 0, 1, &field))
        .await
        .unwrap();
    let block = field.repeat(100);
    let flood = async {
        // Sixteen times the limit of 1 MiB.
        for _ in 0..(16 << 20) / block.len() {
            let part = frame(CONTINUATION, 0, 1, &block);
            if stream.write_all(&part).await.is_err() {
                return true;
            }
        }
        false
    };
    assert!(flood.await, "the connection was still open");
    assert_still_serving(s).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_does_not_finish_its_headers_is_let_go() {
    let s = Setting::with(|config| {
        config.listen.limits.header_read_timeout = Duration::from_millis(50);
    })
    .await;
    let mut stream = s.client("").connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        .await
        .unwrap();
    let mut response = Vec::new();
    // A reset is as good an end as a close.
    let _ = stream.read_to_end(&mut response).await;
    assert!(response.is_empty() || response.starts_with(b"HTTP/1.1 408"));
    assert_still_serving(s).await;
}

/// The preface of HTTP/2 byte by byte, and nothing at all after the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_never_asks_for_anything_is_let_go() {
    let s = Setting::with(|config| {
        config.listen.limits.header_read_timeout = Duration::from_millis(200);
    })
    .await;
    for begun in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n"] {
        let mut stream = connect_http2(&s).await;
        stream.write_all(begun).await.unwrap();
        let mut rest = Vec::new();
        let end = stream.read_to_end(&mut rest);
        let ended = tokio::time::timeout(LIMIT, end).await;
        assert!(ended.is_ok(), "still open after {begun:?}");
    }
    assert_still_serving(s).await;
}

/// What everybody may see keeps no connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_only_asks_for_documents_is_let_go_after_each() {
    // Nothing else ends the connection while the test runs.
    let s = Setting::with(|config| config.listen.limits.header_read_timeout = 2 * LIMIT).await;
    let mut stream = s.client("").connect().await;
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut response = Vec::new();
    let ended = tokio::time::timeout(LIMIT, stream.read_to_end(&mut response)).await;
    assert!(
        ended.is_ok() && response.starts_with(b"HTTP/1.1 200"),
        "the connection was kept"
    );
    assert_still_serving(s).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_does_not_shake_hands_is_let_go() {
    let s = Setting::with(|config| {
        config.listen.limits.handshake_timeout = Duration::from_millis(50);
    })
    .await;
    let mut stream = TcpStream::connect(s.address).await.unwrap();
    stream.write_all(b"\x16\x03\x01").await.unwrap();
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response).await;
    assert!(response.is_empty());
    assert_still_serving(s).await;
}

/// The method is that of the request line, whatever a header says.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_can_not_change_what_is_asked() {
    let s = Setting::new().await;
    s.cluster
        .allow("carol", "demo", "services/proxy", &["create"]);
    s.cluster.store.token("carol-token", "carol", &[]);
    let said = [
        ("X-HTTP-Method-Override", "POST"),
        ("X-Original-URL", "/livez"),
        ("X-Forwarded-Uri", "/livez"),
    ];
    let path = service("web", "/");
    let asked = throughway_testing::client::request("GET", &path, &said, Bytes::new());
    let response = s.client("carol").ask(asked).await;
    assert_eq!(response.status, 403, "{}", response.text());
    s.end().await;
}

/// What exists, and where, is nobody's to learn who may not ask for it (CVE-2020-8555 told by its errors).
#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_right_learns_neither_names_nor_addresses() {
    let s = Setting::new().await;
    let metadata = "169.254.169.254:80".parse().unwrap();
    s.cluster.pod("demo", "metadata-0", metadata);
    s.cluster
        .service("demo", "metadata", 80, &[("metadata-0", metadata)]);
    for name in ["web", "none", "metadata", "https:web:443", "web:nothing"] {
        let response = s.get("bob", &service(name, "/")).await;
        let expected = format!(
            "services.throughway.dev \"{name}\" is forbidden: User \"bob\" cannot get resource \"services/proxy\" in API group \"throughway.dev\" in the namespace \"demo\""
        );
        assert_eq!(response.status, 403, "{name}");
        assert_eq!(response.json()["message"], expected);
    }
    s.end().await;
}

/// An invented token is no anonymous user: nobody is asked what it may do.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_credential_is_401_and_no_review_of_rights() {
    let s = Setting::new().await;
    let before = s.cluster.api.asked("subjectaccessreviews");
    for path in [service("web", "/"), service("none", "/"), "/metrics".into()] {
        assert_eq!(s.get("nobody", &path).await.status, 401, "{path}");
    }
    assert_eq!(s.cluster.api.asked("subjectaccessreviews"), before);
    s.end().await;
}

/// CVE-2020-8552 and its like: whatever a caller makes up, the metrics have no more series for it.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_methods_agents_names_and_paths_make_no_series() {
    const EACH: usize = 3_300;
    let s = Setting::new().await;
    let root = s.client("root");
    let series = async || {
        let metrics = root.get("/metrics").await;
        let is_series = |line: &&str| !line.starts_with('#') && !line.is_empty();
        metrics.text().lines().filter(is_series).count()
    };
    make_up(&root, 0..10).await;
    root.get("/nothing").await;
    series().await;
    let before = series().await;
    make_up(&root, 10..EACH).await;
    for number in 0..100 {
        // A connection keeps no place for what is no proxy's, so each has one of its own.
        assert_eq!(root.get(&format!("/nothing-{number}")).await.status, 404);
    }
    assert_eq!(series().await, before);
    s.end().await;
}

/// Requests with a method, a user agent, and a name that nobody had before, over a connection that is kept.
async fn make_up(client: &Client, numbers: std::ops::Range<usize>) {
    let stream = hyper_util::rt::TokioIo::new(client.connect().await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let token = client.authorization.clone().unwrap();
    for number in numbers {
        let agent = format!("agent-{number}");
        let headers = [
            ("host", "a"),
            ("authorization", &token),
            ("user-agent", &agent),
        ];
        for (method, path) in [
            (format!("M{number}"), service("web", "/")),
            ("GET".to_owned(), service("web", "/status/204")),
            ("GET".to_owned(), service(&format!("none-{number}"), "/")),
        ] {
            let asked = throughway_testing::client::request(&method, &path, &headers, "");
            sender.ready().await.unwrap();
            let response = sender.send_request(asked).await.unwrap();
            http_body_util::BodyExt::collect(response.into_body())
                .await
                .unwrap();
        }
    }
    drop(sender);
    connection.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_no_reader_takes_is_414() {
    let s = Setting::new().await;
    let mut stream = s.client("").connect().await;
    let asked = format!(
        "GET {} HTTP/1.1\r\nHost: a\r\n\r\n",
        service("web", &format!("/{}", "a".repeat(65_535)))
    );
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response).await;
    let response = String::from_utf8_lossy(&response);
    assert!(response.starts_with("HTTP/1.1 414 "), "{response}");
    assert_still_serving(s).await;
}

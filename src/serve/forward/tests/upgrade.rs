//! Upgrades: what becomes a tunnel, what does not, and how tunnels end.

use super::*;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
const SWITCHED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[tokio::test]
async fn a_refused_upgrade_is_one_response_and_the_end_of_both_connections() {
    let codes = [
        (200, 502),
        (204, 502),
        (302, 502),
        (304, 502),
        (400, 400),
        (403, 403),
        (500, 500),
    ];
    let closing = ["keep-alive", "close"];
    let all = codes
        .iter()
        .flat_map(|codes| closing.map(|how| (codes, how)));
    for ((code, expected_code), closing) in all {
        let (code, expected_code) = (*code, *expected_code);
        let (mut s, backend) = (Setting::new().await, Backend::new().await);
        let canary = Backend::new().await;
        let mut caller = s.caller(Scheme::Http, &[backend.address]);
        let second = get("/second", "");
        caller
            .write_all(format!("{}{second}", get("/", UPGRADE)).as_bytes())
            .await
            .unwrap();
        let mut stream = backend.accept().await;
        assert!(head(&mut stream).await.contains("Upgrade: websocket\r\n"));
        let refusal = format!(
            "HTTP/1.1 {code} No\r\nLocation: http://{}/\r\nConnection: {closing}\r\nContent-Length: 0\r\n\r\ntrailing bytes",
            canary.address
        );
        stream.write_all(refusal.as_bytes()).await.unwrap();
        let received = rest(&mut caller).await;
        assert_eq!(received.matches("HTTP/1.1 ").count(), 1, "{received}");
        assert!(
            received.starts_with(&format!("HTTP/1.1 {expected_code}")),
            "{received}"
        );
        assert!(
            expected_code < 502 || !received.contains("Location"),
            "{received}"
        );
        assert!(!received.contains("trailing"), "{received}");
        assert_eq!(
            rest(&mut stream).await,
            "",
            "the backend sees one request and no byte more"
        );
        tokio::select! {
            biased;
            _ = canary.accept() => panic!("a redirect was followed"),
            () = std::future::ready(()) => {}
        }
        s.end().await;
    }
}

#[tokio::test]
async fn an_upgrade_smuggles_no_identity_either() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let headers = "Connection: Upgrade, X-Forwarded-For, x-forwarded-prefix\r\nUpgrade: websocket\r\n\
        X-Remote-User: root\r\nx-remote-USER: root\r\nX_Remote_Group: system:masters\r\nX-Remote-Uid: 0\r\n\
        X-Remote-Extra-Scopes: all\r\nImpersonate-User: root\r\nImpersonate_Group: a\r\nAuthorization: Bearer x\r\n\
        Proxy-Authorization: y\r\nSec-WebSocket-Key: k\r\nX-Kept: k\r\n";
    let asked = get("/ws", headers);
    caller.write_all(asked.as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    let seen = head(&mut stream).await;
    let named = |line: &str| Some(line.split_once(':')?.0.to_ascii_lowercase());
    let names: Vec<String> = seen.lines().skip(1).filter_map(named).collect();
    let expected = [
        "host",
        "sec-websocket-key",
        "x-kept",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-uri",
        "x-script-name",
        "x-forwarded-prefix",
        "connection",
        "upgrade",
    ];
    assert_eq!(names, expected, "{seen}");
    drop((caller, stream));
    s.end().await;
}

#[tokio::test]
async fn a_body_beside_an_upgrade_is_one_request_and_no_tunnel_without_a_101() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let next = get("/second", "");
    let asked = format!(
        "POST {PREFIX}/ HTTP/1.1\r\nHost: a\r\n{UPGRADE}Content-Length: 5\r\n\r\nhello{next}"
    );
    caller.write_all(asked.as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    assert!(head(&mut stream).await.starts_with("POST / HTTP/1.1\r\n"));
    exactly(&mut stream, "hello").await;
    let refusal = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(refusal).await.unwrap();
    let received = rest(&mut caller).await;
    assert!(received.starts_with("HTTP/1.1 403"), "{received}");
    assert_eq!(received.matches("HTTP/1.1 ").count(), 1, "{received}");
    assert_eq!(rest(&mut stream).await, "", "nothing more reaches it");
    s.end().await;
}

#[tokio::test]
async fn a_backend_that_switches_to_something_else_gets_no_tunnel() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller
        .write_all(get("/", UPGRADE).as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    stream
        .write_all(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        .await
        .unwrap();
    assert!(head(&mut caller).await.starts_with("HTTP/1.1 502"));
    drop(caller);
    s.end().await;
}

#[tokio::test]
async fn a_tunnel_carries_early_bytes_and_ends_each_way_by_itself() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller
        .write_all(format!("{}early", get("/ws?a=1&b", UPGRADE)).as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    assert!(
        head(&mut stream)
            .await
            .starts_with("GET /ws?a=1&b HTTP/1.1\r\n")
    );
    stream
        .write_all(&[SWITCHED, b"first"].concat())
        .await
        .unwrap();
    let received = head(&mut caller).await;
    assert!(
        received.starts_with("HTTP/1.1 101") && received.contains("Upgrade: websocket\r\n"),
        "{received}"
    );
    exactly(&mut caller, "first").await;
    exactly(&mut stream, "early").await;
    caller.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, "", "the caller's end arrives");
    stream.write_all(&[b'x'; 200_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(
        rest(&mut caller).await.len(),
        200_000,
        "and the backend's last bytes still come"
    );
    s.end().await;
}

/// A handshake has no `Sec-Fetch-*`, so `Origin` alone tells. Any port of the machine has an origin of loopback.
#[tokio::test]
async fn a_websocket_of_a_known_origin_speaks_in_the_backends_own_terms() {
    let config = ForwardConfig {
        external_origins: vec![crate::serve::config::ExternalOrigin {
            scheme: "https",
            host: "rancher.example.com".to_owned(),
            path: String::new(),
        }],
        ..config()
    };
    for (origin, expected) in [
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("http://localhost:9999", "http://localhost:9999"),
        ("https://rancher.example.com", "http://web.demo.svc"),
        ("https://evil.example", "https://evil.example"),
        (
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1.evil.example",
        ),
        ("null", "null"),
    ] {
        let (mut s, backend) = (Setting::with(config.clone()).await, Backend::new().await);
        let mut caller = s.caller(Scheme::Http, &[backend.address]);
        let headers = format!(
            "{UPGRADE}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
             Cookie: a=1; Throughway-Login=s\r\nOrigin: {origin}\r\n"
        );
        caller
            .write_all(get("/ws?session_id=x", &headers).as_bytes())
            .await
            .unwrap();
        let mut stream = backend.accept().await;
        let seen = head(&mut stream).await;
        let names = ["sec-websocket-", "cookie", "origin"];
        let lines: Vec<&str> = seen
            .lines()
            .filter(|line| {
                names
                    .iter()
                    .any(|name| line.to_ascii_lowercase().starts_with(name))
            })
            .collect();
        let origin = format!("Origin: {expected}");
        assert_eq!(
            lines,
            [
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Protocol: a, b",
                "Sec-WebSocket-Extensions: permessage-deflate",
                "Cookie: a=1",
                &*origin,
            ]
        );
        drop((caller, stream));
        s.end().await;
    }
}

#[tokio::test]
async fn there_are_no_more_tunnels_than_allowed() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller
        .write_all(get("/", UPGRADE).as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    stream.write_all(SWITCHED).await.unwrap();
    head(&mut caller).await;
    let mut second = s.caller(Scheme::Http, &[backend.address]);
    second
        .write_all(get("/", UPGRADE).as_bytes())
        .await
        .unwrap();
    assert!(head(&mut second).await.starts_with("HTTP/1.1 429"));
    drop((caller, stream, second));
    s.end().await;
}

#[tokio::test]
async fn a_websocket_is_told_to_go_after_the_frame_that_is_under_way() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller
        .write_all(get("/", UPGRADE).as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    stream
        .write_all(&[SWITCHED, b"\x82\x04ab"].concat())
        .await
        .unwrap();
    head(&mut caller).await;
    let mut begun = [0; 4];
    caller.read_exact(&mut begun).await.unwrap();
    let (forwarding, ()) = tokio::join!(s.end(), async {
        stream.write_all(b"cd").await.unwrap();
        let mut end = [0; 6];
        caller.read_exact(&mut end).await.unwrap();
        assert_eq!(end, *b"cd\x88\x02\x03\xe9");
        assert_eq!(rest(&mut caller).await, "");
        drop(caller);
        assert_eq!(rest(&mut stream).await, "");
    });
    forwarding
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_in_which_nothing_moves_ends() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller
        .write_all(get("/", UPGRADE).as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    stream.write_all(SWITCHED).await.unwrap();
    head(&mut caller).await;
    let start = tokio::time::Instant::now();
    assert_eq!(rest(&mut caller).await, "");
    assert!(
        start.elapsed() >= Duration::from_secs(3600),
        "{:?}",
        start.elapsed()
    );
    s.end().await;
}

#[tokio::test]
async fn a_tunnel_ends_when_its_caller_may_not_have_it_any_more() {
    for (protocol, farewell) in [
        ("websocket", "\u{fffd}\u{2}\u{3}\u{fffd}"),
        ("SPDY/3.1", ""),
    ] {
        let config = ForwardConfig {
            tunnel_authorization_interval: Duration::from_millis(1),
            ..config()
        };
        let refusing = Arc::new(Always(Err("no longer")));
        let mut s = Setting::authorized_by(config, refusing).await;
        let backend = Backend::new().await;
        let mut caller = s.caller(Scheme::Http, &[backend.address]);
        let lines = format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n");
        caller.write_all(get("/", &lines).as_bytes()).await.unwrap();
        let mut stream = backend.accept().await;
        head(&mut stream).await;
        let switched = format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n");
        stream.write_all(switched.as_bytes()).await.unwrap();
        head(&mut caller).await;
        assert_eq!(rest(&mut caller).await, farewell, "{protocol}");
        drop(caller);
        assert_eq!(rest(&mut stream).await, "", "{protocol}");
        s.end().await;
    }
}

/// What the caller says goes on, so the tunnel is not idle.
#[tokio::test(start_paused = true)]
async fn a_tunnel_of_which_one_side_takes_nothing_ends_whatever_the_other_says() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller
        .write_all(get("/", UPGRADE).as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    stream.write_all(SWITCHED).await.unwrap();
    head(&mut caller).await;
    let start = tokio::time::Instant::now();
    let (mut unread, mut said) = tokio::io::split(caller);
    let (mut heard, mut flood) = stream.into_split();
    let mut nothing = tokio::io::sink();
    tokio::select! {
        _ = async { while flood.write_all(&[b'x'; 4096]).await.is_ok() {} } => {}
        _ = tokio::io::copy(&mut heard, &mut nothing) => {}
        () = async {
            for _ in 0..20 {
                said.write_all(b"ping").await.unwrap();
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        } => {}
    }
    let elapsed = start.elapsed();
    assert!(
        elapsed >= Duration::from_secs(300) && elapsed < Duration::from_secs(400),
        "{elapsed:?}"
    );
    let refusals = s.metrics.text(&crate::serve::telemetry::Gauges::default());
    assert!(
        refusals.contains(r#"throughway_refusals_total{reason="tunnel_not_taken"} 1"#),
        "{refusals}"
    );
    let mut rest = Vec::new();
    let _ = unread.read_to_end(&mut rest).await;
    s.end().await;
}

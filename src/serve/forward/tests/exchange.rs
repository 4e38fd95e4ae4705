//! Plain exchanges: framing, bodies, retries, and backends that misbehave.

use super::*;

#[tokio::test]
async fn a_connection_is_kept_and_a_get_is_sent_again_if_it_had_been_closed() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller.write_all(get("/1", "").as_bytes()).await.unwrap();
    let mut first = backend.accept().await;
    head(&mut first).await;
    first.write_all(OK).await.unwrap();
    head(&mut caller).await;
    exactly(&mut caller, "ok").await;

    caller.write_all(get("/2", "").as_bytes()).await.unwrap();
    assert!(
        head(&mut first).await.starts_with("GET /2 "),
        "the connection was kept"
    );
    drop(first);
    let mut second = backend.accept().await;
    assert!(
        head(&mut second).await.starts_with("GET /2 "),
        "it is sent again"
    );
    second.write_all(OK).await.unwrap();
    assert!(head(&mut caller).await.starts_with("HTTP/1.1 200"));
    exactly(&mut caller, "ok").await;

    let post = format!("POST {PREFIX}/3 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    caller.write_all(post.as_bytes()).await.unwrap();
    assert!(head(&mut second).await.starts_with("POST /3 "));
    drop(second);
    assert!(
        head(&mut caller).await.starts_with("HTTP/1.1 502"),
        "a POST is never sent twice"
    );
    drop(caller);
    s.end().await;
}

/// go#32310: a backend that gives up an idle connection with 408 just as a request goes out means no request.
#[tokio::test]
async fn a_408_on_an_idle_connection_belongs_to_no_get() {
    const STALE: &[u8] =
        b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller.write_all(get("/1", "").as_bytes()).await.unwrap();
    let mut first = backend.accept().await;
    head(&mut first).await;
    first.write_all(OK).await.unwrap();
    head(&mut caller).await;
    exactly(&mut caller, "ok").await;
    caller.write_all(get("/2", "").as_bytes()).await.unwrap();
    head(&mut first).await;
    first.write_all(STALE).await.unwrap();
    let mut second = backend.accept().await;
    assert!(head(&mut second).await.starts_with("GET /2 "));
    second.write_all(OK).await.unwrap();
    assert!(head(&mut caller).await.starts_with("HTTP/1.1 200"));
    exactly(&mut caller, "ok").await;

    let post = format!("POST {PREFIX}/3 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    caller.write_all(post.as_bytes()).await.unwrap();
    head(&mut second).await;
    second.write_all(STALE).await.unwrap();
    let received = head(&mut caller).await;
    assert!(
        received.starts_with("HTTP/1.1 408"),
        "a POST is never sent twice: {received}"
    );
    drop((caller, first, second));
    s.end().await;
}

#[tokio::test]
async fn a_connection_that_closes_in_the_middle_of_a_response_is_not_retried() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller.write_all(get("/1", "").as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    stream.write_all(OK).await.unwrap();
    head(&mut caller).await;
    exactly(&mut caller, "ok").await;
    caller.write_all(get("/2", "").as_bytes()).await.unwrap();
    head(&mut stream).await;
    stream.write_all(b"HTTP/1.1 2").await.unwrap();
    drop(stream);
    assert!(head(&mut caller).await.starts_with("HTTP/1.1 502"));
    drop(caller);
    s.end().await;
}

/// What a caller is told when the backend does this after having read the request.
pub(super) async fn received(misbehaviour: &[u8]) -> String {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller
        .write_all(get("/", "Connection: close\r\n").as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    stream.write_all(misbehaviour).await.unwrap();
    stream.shutdown().await.unwrap();
    let received = rest(&mut caller).await;
    drop(stream);
    s.end().await;
    received
}

#[tokio::test]
async fn a_backend_that_misbehaves_is_502_with_the_cause() {
    for (misbehaviour, cause) in [
        (&b""[..], "closed the connection without a response"),
        (b"this is no HTTP\r\n\r\n", "something that is not HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            "something that is not HTTP",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
            "something that is not HTTP",
        ),
        (b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS; try https:"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            "a protocol that was not asked for",
        ),
        (b"HTTP/1.1 099 Odd\r\n\r\n", "something that is not HTTP"),
    ] {
        let received = received(misbehaviour).await;
        assert!(received.starts_with("HTTP/1.1 502"), "{received}");
        assert!(
            received.contains(cause) && received.contains("\"kind\":\"Status\""),
            "{received}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_too_short_ends_in_an_abort_and_not_in_a_whole_response() {
    let received =
        received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n").await;
    assert!(
        received.contains("short") && !received.ends_with("0\r\n\r\n"),
        "{received}"
    );
}

#[tokio::test]
async fn a_length_beside_chunks_is_ignored_and_not_passed_on() {
    let received = received(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").await;
    assert!(
        !received.to_lowercase().contains("content-length: 3"),
        "{received}"
    );
}

/// Go's HTTP/2 client would wait for as many bytes as it says. hyper's HTTP/1 takes it out itself, so it is looked for
/// before.
#[tokio::test]
async fn a_response_without_a_body_says_no_length() {
    for status in ["204 No Content", "304 Not Modified"] {
        let (s, backend) = (Setting::new().await, Backend::new().await);
        let endpoint = Endpoint {
            settings: crate::serve::cluster::ServiceSettings::unset(),
            address: crate::serve::destination::DialableAddr::for_tests(backend.address),
            scheme: Scheme::Http,
            host: HeaderValue::from_static("web.demo.svc"),
            pod: "demo/web-0".into(),
        };
        let request = http::Request::get(format!("{PREFIX}/"));
        let request = request.body(Body::empty()).unwrap();
        let responding = respond(&s.forward, Arc::clone(&s.metrics), vec![endpoint], request);
        let serving = async {
            let mut stream = backend.accept().await;
            head(&mut stream).await;
            let sent = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\nETag: x\r\n\r\n");
            stream.write_all(sent.as_bytes()).await.unwrap();
            stream
        };
        let (response, stream) = tokio::join!(responding, serving);
        assert_eq!(response.headers()["etag"], "x");
        assert!(
            !response.headers().contains_key("content-length"),
            "{status}"
        );
        drop((response, stream));
        s.end().await;
    }
}

#[tokio::test]
async fn a_refusing_endpoint_is_passed_over_and_nobody_left_is_503() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let gone = Backend::new().await.address;
    let mut caller = s.caller(Scheme::Http, &[gone, backend.address]);
    caller.write_all(get("/", "").as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    stream.write_all(OK).await.unwrap();
    assert!(head(&mut caller).await.starts_with("HTTP/1.1 200"));
    drop(caller);
    let mut caller = s.caller(Scheme::Http, &[gone]);
    caller
        .write_all(get("/", "Connection: close\r\n").as_bytes())
        .await
        .unwrap();
    let received = rest(&mut caller).await;
    assert!(
        received.starts_with("HTTP/1.1 503") && received.contains("refused the connection"),
        "{received}"
    );
    s.end().await;
}

#[tokio::test]
async fn a_plain_backend_does_not_speak_tls_and_says_so() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Https, &[backend.address]);
    caller
        .write_all(get("/", "Connection: close\r\n").as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    stream
        .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .await
        .unwrap();
    let received = rest(&mut caller).await;
    assert!(
        received.starts_with("HTTP/1.1 502") && received.contains("does not speak TLS; try http:"),
        "{received}"
    );
    drop(stream);
    s.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_hangs_is_504_when_the_limit_passes() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller
        .write_all(get("/", "Connection: close\r\n").as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    let received = rest(&mut caller).await;
    assert!(
        received.starts_with("HTTP/1.1 504") && received.contains("sent no response within 60s"),
        "{received}"
    );
    s.end().await;
}

#[tokio::test]
async fn a_caller_that_leaves_ends_the_request_at_the_backend() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller.write_all(get("/", "").as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    drop(caller);
    assert_eq!(rest(&mut stream).await, "", "before the response");

    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller.write_all(get("/", "").as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        .await
        .unwrap();
    head(&mut caller).await;
    drop(caller);
    assert_eq!(rest(&mut stream).await, "", "during the response");
    s.end().await;
}

#[tokio::test]
async fn a_body_waits_until_the_backend_asks_for_it() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let post = |path: &str| {
        format!(
            "POST {PREFIX}{path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
    };
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller.write_all(post("/yes").as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    assert!(head(&mut stream).await.contains("100-continue"));
    stream
        .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(head(&mut caller).await, "HTTP/1.1 100 Continue\r\n\r\n");
    caller.write_all(b"body").await.unwrap();
    exactly(&mut stream, "body").await;
    stream.write_all(OK).await.unwrap();
    assert!(head(&mut caller).await.starts_with("HTTP/1.1 200"));
    drop((caller, stream));
    s.end().await;

    let mut s = Setting::new().await;
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller.write_all(post("/no").as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    stream
        .write_all(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    let received = head(&mut caller).await;
    assert!(
        received.starts_with("HTTP/1.1 417"),
        "a 100 came before: {received}"
    );
    drop((caller, stream));
    s.end().await;
}

#[tokio::test]
async fn chunks_and_trailers_pass_both_ways() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let post = format!(
        "POST {PREFIX}/ HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: x-up\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nup\r\n0\r\nX-Up: 1\r\n\r\n"
    );
    caller.write_all(post.as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    assert!(
        head(&mut stream)
            .await
            .to_lowercase()
            .contains("transfer-encoding: chunked")
    );
    exactly(&mut stream, "2\r\nup\r\n0\r\nX-Up: 1\r\n\r\n").await;
    let response = "HTTP/1.1 200 OK\r\nTrailer: x-down\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndown\r\n0\r\nx-down: 2\r\n\r\n";
    stream.write_all(response.as_bytes()).await.unwrap();
    head(&mut caller).await;
    exactly(&mut caller, "4\r\ndown\r\n0\r\nx-down: 2\r\n\r\n").await;
    drop((caller, stream));
    s.end().await;
}

#[tokio::test]
async fn a_kubelet_is_not_asked_without_the_credential_for_kubelets() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Kubelet, &[backend.address]);
    let request = get("/metrics", "Connection: close\r\n");
    caller.write_all(request.as_bytes()).await.unwrap();
    let received = rest(&mut caller).await;
    assert!(received.starts_with("HTTP/1.1 503 "), "{received}");
    assert!(received.contains("--kubelet-service-account"), "{received}");
    drop(caller);
    s.end().await;
    let dialled = backend.listener.accept();
    let dialled = tokio::time::timeout(Duration::from_millis(20), dialled).await;
    assert!(dialled.is_err(), "the kubelet was dialled");
}

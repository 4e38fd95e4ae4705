//! Messages whose ends two readers could see at different places: requests and responses as raw bytes (RFC 9112 section
//! 11).
//!
//! Each request is refused, or is exactly one at the backend; each response is a 502, or exactly one at the caller.

use super::exchange::received;
use super::*;

/// Five bytes that end a body both by a length of five and by chunks, and then what is to be smuggled.
fn smuggled() -> String {
    format!("0\r\n\r\nGET {PREFIX}/smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// What the backend saw of a request, and what the caller was told.
async fn sent(request: &[u8]) -> (String, String) {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    // It may be refused before the last of it.
    let _ = caller.write_all(request).await;
    let _ = caller.shutdown().await;
    let served = async {
        let mut stream = backend.accept().await;
        let mut seen = Vec::new();
        // A request that turns out to be none may be cut anywhere.
        let is_head = |seen: &[u8]| seen.windows(4).any(|four| four == b"\r\n\r\n");
        while !is_head(&seen) && stream.read_buf(&mut seen).await.is_ok_and(|read| read > 0) {}
        let response = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let _ = stream.write_all(response).await;
        let _ = stream.read_to_end(&mut seen).await;
        String::from_utf8_lossy(&seen).into_owned()
    };
    let (seen, received) = tokio::select! {
        received = rest(&mut caller) => (String::new(), received),
        seen = served => (seen, rest(&mut caller).await),
    };
    s.end().await;
    (seen, received)
}

/// A request is refused, or it is one request at the backend and one response at the caller.
async fn assert_one_or_none(what: &str, request: &[u8]) -> String {
    let (seen, received) = sent(request).await;
    assert!(
        seen.matches(" HTTP/1.1\r\n").count() <= 1,
        "{what:?}: {seen}"
    );
    assert!(!seen.contains("smuggled"), "{what:?}: {seen}");
    assert!(
        received.matches("HTTP/1.1 ").count() <= 1,
        "{what:?}: {received}"
    );
    received
}

#[tokio::test]
async fn odd_heads_are_refused_or_are_one_request() {
    for (version, framing) in [
        ("1.1", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        ("1.1", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        ("1.1", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        ("1.1", "Content-Length: +5\r\n"),
        ("1.1", "Transfer-Encoding: gzip, chunked\r\n"),
        ("1.1", "Transfer-Encoding: chunked\t\r\n"),
        ("1.1", "Transfer-Encoding: chunked, chunked\r\n"),
        ("1.1", "Transfer-Encoding: chunked, identity\r\n"),
        (
            "1.1",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        ),
        ("1.1", "Transfer-Encoding:\r\n chunked\r\n"),
        ("1.1", "Transfer-Encoding: \x0bchunked\r\n"),
        ("1.1", "Transfer-Encoding: chunk\r\n ed\r\n"),
        ("1.0", "Transfer-Encoding: chunked\r\n"),
        ("1.0", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        ("1.1", "Content-Length: 5\r\n X: folded\r\n"),
        ("1.1", "Content-Length: 5, 5\r\n"),
        ("1.1", "Content-Length: 0x5\r\n"),
        ("1.1", "Content-Length: 5 6\r\n"),
        ("1.1", "Content-Length: \r\n"),
        ("1.1", "Content-Length: 18446744073709551616\r\n"),
        ("1.1", "Content-Length : 5\r\n"),
        (" 1.1", "Content-Length: 5\r\n"),
        ("1.1", "Content-Length: 5\nX: bare\r\n"),
        ("1.1", "Content-Length: 5\r\nX: a\rb\r\n"),
        ("1.1", "Content-Length: 5\r\nX: a\0b\r\n"),
        ("1.1", "Content-Length: 5\r\nX\0: a\r\n"),
        ("1.1", "\r\nContent-Length: 5\r\n"),
    ] {
        let request = format!(
            "POST {PREFIX}/ HTTP/{version}\r\nHost: a\r\nConnection: close\r\n{framing}\r\n{}",
            smuggled()
        );
        assert_one_or_none(framing, request.as_bytes()).await;
    }
}

#[tokio::test]
async fn what_is_no_header_by_any_reading_is_400() {
    for framing in [
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 5\r\nX: a\0b\r\n",
        "X: a\r\n folded\r\nContent-Length: 5\r\n",
    ] {
        let request = format!(
            "POST {PREFIX}/ HTTP/1.1\r\nHost: a\r\n{framing}\r\n{}",
            smuggled()
        );
        let (seen, received) = sent(request.as_bytes()).await;
        assert_eq!(seen, "", "{framing:?}");
        assert!(
            received.starts_with("HTTP/1.1 400 "),
            "{framing:?}: {received}"
        );
        assert_eq!(
            received.matches("HTTP/1.1 ").count(),
            1,
            "{framing:?}: {received}"
        );
    }
}

/// hyper#4123: a length beside chunks must end the connection, whichever comes first.
#[tokio::test]
async fn a_length_beside_chunks_ends_the_callers_connection() {
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ] {
        let request = format!(
            "POST {PREFIX}/ HTTP/1.1\r\nHost: a\r\n{framing}\r\n{}",
            smuggled()
        );
        let (seen, received) = sent(request.as_bytes()).await;
        assert!(!seen.to_lowercase().contains("content-length"), "{seen}");
        assert!(!seen.contains("smuggled"), "{seen}");
        assert_eq!(received.matches("HTTP/1.1 ").count(), 1, "{received}");
    }
}

#[tokio::test]
async fn odd_chunks_are_an_end_or_one_request() {
    let next = format!("GET {PREFIX}/smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    for chunks in [
        "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
        "5;\n\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n00000000000000000000\r\n\r\n",
        "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\n\r\n",
        "5\r\nhello\r\n0\n",
    ] {
        let request = format!(
            "POST {PREFIX}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{next}"
        );
        assert_one_or_none(chunks, request.as_bytes()).await;
    }
    let long_extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(1 << 20));
    let request = format!(
        "POST {PREFIX}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{long_extension}"
    );
    assert_one_or_none("a chunk extension of a MiB", request.as_bytes()).await;
}

#[tokio::test]
async fn a_body_of_get_and_head_stays_a_body() {
    for method in ["GET", "HEAD"] {
        for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
            let request = format!(
                "{method} {PREFIX}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{framing}\r\n\r\n{}",
                smuggled()
            );
            let received = assert_one_or_none(framing, request.as_bytes()).await;
            assert!(
                received.starts_with("HTTP/1.1 200 "),
                "{method}: {received}"
            );
        }
    }
}

/// What a backend sends, and the code that its caller gets.
const ODD_RESPONSES: [(&str, &str); 20] = [
    (
        "HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "502",
    ),
    ("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "502"),
    ("HTTP/1.1 200 OK\r\nX\0: a\r\n\r\n", "502"),
    ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "502"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nabc", "502"),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "502",
    ),
    (
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "502",
    ),
    ("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "502"),
    ("HTTP/1.1 200 OK\r\n Content-Length: 0\r\n\r\n", "502"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 0\r\n\r\na", "502"),
    ("HTTP/1.1 200 OK\r\nContent Length: 1\r\n\r\na", "502"),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding :\r\n chunked\r\nContent-Length : 9\r\n\r\n2\r\nok\r\n0\r\n\r\nevil",
        "200",
    ),
    (
        "HTTP/1.1 200 OK\r\nX: a\r\n Content-Length: 9\r\nContent-Length: 2\r\n\r\nokevil",
        "200",
    ),
    ("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", "502"),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "200",
    ),
    (
        "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil",
        "204",
    ),
    (
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
        "204",
    ),
    (
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil",
        "304",
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nevil",
        "200",
    ),
    (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\nevil",
        "502",
    ),
];

#[tokio::test]
async fn odd_responses_are_502_or_one_response() {
    for (response, expected) in ODD_RESPONSES {
        let received = received(response.as_bytes()).await;
        assert!(
            received.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{response:?}: {received}"
        );
        assert_eq!(
            received.matches("HTTP/1.1 ").count(),
            1,
            "{response:?}: {received}"
        );
        assert!(!received.contains("evil"), "{response:?}: {received}");
    }
}

/// What a backend sends behind a response is no response to whoever asks next over the same connection.
#[tokio::test]
async fn a_response_that_nobody_asked_for_reaches_nobody() {
    for extra in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
    ] {
        let (mut s, backend) = (Setting::new().await, Backend::new().await);
        let mut caller = s.caller(Scheme::Http, &[backend.address]);
        caller.write_all(get("/1", "").as_bytes()).await.unwrap();
        let mut first = backend.accept().await;
        head(&mut first).await;
        let poisoned =
            format!("{extra}HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Poison: 1\r\n\r\nevil");
        first.write_all(poisoned.as_bytes()).await.unwrap();
        let received = head(&mut caller).await;
        assert!(!received.contains("X-Poison"), "{received}");
        if extra.ends_with("ok") {
            exactly(&mut caller, "ok").await;
        }
        let asking = get("/2", "Connection: close\r\n");
        caller.write_all(asking.as_bytes()).await.unwrap();
        let serving = async {
            let mut second = backend.accept().await;
            assert!(head(&mut second).await.starts_with("GET /2 "));
            second.write_all(OK).await.unwrap();
            std::future::pending::<()>().await;
        };
        let received = tokio::select! {
            received = rest(&mut caller) => received,
            () = serving => unreachable!("it is cut with the test"),
        };
        assert!(received.starts_with("HTTP/1.1 200"), "{received}");
        assert!(received.ends_with("\r\n\r\nok"), "{received}");
        s.end().await;
    }
}

//! What hostile or merely slow backends and callers may do to the exchange, and to those of others.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server;
use tokio::io::{AsyncWrite, Interest, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::serve::certificates::{Serving, server_config};
use crate::serve::config::Http2Serving;

/// The next connection to a backend that allows two streams on each.
async fn accept_two_streams(backend: &Backend) -> server::Connection<TlsStream<TcpStream>, Bytes> {
    let config = server_config(Serving::self_signed().unwrap(), Http2Serving::Enabled);
    let tls = TlsAcceptor::from(config);
    let stream = tls.accept(backend.accept().await).await.unwrap();
    let mut settings = server::Builder::new();
    settings.max_concurrent_streams(2);
    settings.handshake(stream).await.unwrap()
}

async fn ask(s: &mut Setting, address: SocketAddr, path: &str) -> DuplexStream {
    let mut caller = s.caller(Scheme::Https, &[address]);
    caller.write_all(get(path, "").as_bytes()).await.unwrap();
    caller
}

#[tokio::test]
async fn another_connection_is_opened_at_the_backends_limit_of_streams() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let address = backend.address;
    let (first_is_full, full) = tokio::sync::oneshot::channel();
    let serving = async {
        let mut first = accept_two_streams(&backend).await;
        let mut open = Vec::new();
        for _ in 0..2 {
            let (_, mut respond) = first.accept().await.unwrap().unwrap();
            let response = http::Response::default();
            open.push(respond.send_response(response, false).unwrap());
        }
        first_is_full.send(()).unwrap();
        let more = async {
            let mut second = accept_two_streams(&backend).await;
            let (request, mut respond) = second.accept().await.unwrap().unwrap();
            assert_eq!(request.uri().path(), "/3");
            respond
                .send_response(http::Response::default(), true)
                .unwrap();
            while second.accept().await.is_some_and(|next| next.is_ok()) {}
        };
        tokio::select! {
            () = more => {}
            // It has to be driven for its responses to leave.
            extra = first.accept() => assert!(extra.is_none_or(|next| next.is_err()), "a third stream"),
        }
        drop(open);
    };
    let asking = async {
        let mut streaming = vec![ask(&mut s, address, "/1").await];
        let begun = head(&mut streaming[0]).await;
        assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
        streaming.push(ask(&mut s, address, "/2").await);
        let begun = head(&mut streaming[1]).await;
        assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
        full.await.unwrap();
        let mut third = ask(&mut s, address, "/3").await;
        let response = head(&mut third).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        drop((streaming, third));
        s.end().await;
    };
    tokio::join!(serving, asking);
}

#[tokio::test]
async fn trailers_claim_no_identity_and_frame_nothing() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let request = format!(
        "POST {PREFIX}/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: x-sum, x-remote-user\r\nConnection: close\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Sum: 1\r\nX-Remote-User: root\r\nX_Remote_Group: system:masters\r\nAuthorization: Bearer x\r\nThroughway-Path: /x\r\nContent-Length: 9\r\n\r\n"
    );
    caller.write_all(request.as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    exactly(&mut stream, "2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n").await;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum, set-cookie, content-length, clear-site-data, access-control-allow-origin, throughway-location, alt-svc\r\nConnection: close\r\n\r\n\
            2\r\nyo\r\n0\r\nX-Sum: 2\r\nSet-Cookie: a=b\r\nContent-Length: 9\r\nClear-Site-Data: \"*\"\r\n\
            Access-Control-Allow-Origin: *\r\nThroughway-Location: /x\r\nAlt-Svc: h3=\":1\"\r\n\r\n")
        .await
        .unwrap();
    drop(stream);
    let response = rest(&mut caller).await.to_ascii_lowercase();
    let body = response.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(body, "2\r\nyo\r\n0\r\nx-sum: 2\r\n\r\n");
    s.end().await;
}

#[tokio::test]
async fn an_upgrade_of_http_1_0_is_no_tunnel() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let request = format!(
        "GET {PREFIX}/ws HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    caller.write_all(request.as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    let asked = head(&mut stream).await.to_ascii_lowercase();
    assert!(!asked.contains("upgrade"), "{asked}");
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        .await
        .unwrap();
    assert!(rest(&mut caller).await.ends_with("\r\n\r\nok"));
    s.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_takes_nothing_is_504_that_says_so_and_its_connection_ends() {
    let config = ForwardConfig {
        response_header_timeout: Duration::ZERO,
        exchange_idle_timeout: Duration::from_secs(20),
        ..config()
    };
    let (mut s, backend) = (Setting::with(config).await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let (mut read, mut write) = tokio::io::split(&mut caller);
    let length = 64 << 20;
    let head_of = format!("POST {PREFIX}/ HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let sending = async {
        write.write_all(head_of.as_bytes()).await.unwrap();
        // More than all sockets on the way hold; the exchange ends before the last of it.
        let _ = write.write_all(&vec![b'x'; length]).await;
    };
    let received = async {
        let silent = backend.accept().await;
        let mut received = vec![0; 4096];
        let bytes = read.read(&mut received).await.unwrap();
        (
            String::from_utf8_lossy(&received[..bytes]).into_owned(),
            silent,
        )
    };
    let (received, silent) = tokio::select! {
        received = received => received,
        () = async { sending.await; std::future::pending().await } => unreachable!(),
    };
    assert!(
        received.starts_with("HTTP/1.1 504")
            && received.contains("did not take the request's body for 20s"),
        "{received}"
    );
    // What is left of the upload is let go of at once: the socket is reset.
    tokio::time::resume();
    tokio::time::timeout(Duration::from_secs(10), silent.ready(Interest::ERROR))
        .await
        .unwrap()
        .unwrap();
    drop(caller);
    s.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_slow_with_its_body_is_not_held_against_the_backend() {
    let config = ForwardConfig {
        response_header_timeout: Duration::ZERO,
        exchange_idle_timeout: Duration::from_secs(20),
        ..config()
    };
    let (mut s, backend) = (Setting::with(config).await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let request = format!(
        "POST {PREFIX}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\na"
    );
    caller.write_all(request.as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    exactly(&mut stream, "a").await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    caller.write_all(b"b").await.unwrap();
    exactly(&mut stream, "b").await;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(rest(&mut caller).await.starts_with("HTTP/1.1 200"));
    s.end().await;
}

#[tokio::test]
async fn responses_without_a_body_have_no_length() {
    for status in ["204 No Content", "304 Not Modified"] {
        let (mut s, backend) = (Setting::new().await, Backend::new().await);
        let mut caller = s.caller(Scheme::Http, &[backend.address]);
        caller
            .write_all(get("/", "Connection: close\r\n").as_bytes())
            .await
            .unwrap();
        let mut stream = backend.accept().await;
        head(&mut stream).await;
        let response =
            format!("HTTP/1.1 {status}\r\nContent-Length: 500\r\nConnection: close\r\n\r\n");
        stream.write_all(response.as_bytes()).await.unwrap();
        drop(stream);
        let received = rest(&mut caller).await.to_ascii_lowercase();
        assert!(
            received.starts_with(&format!("http/1.1 {}", status.to_ascii_lowercase())),
            "{received}"
        );
        assert!(!received.contains("content-length"), "{received}");
        s.end().await;
    }
}

/// Go's server ends a response that was flushed with a piece of no bytes.
#[tokio::test]
async fn a_response_of_http2_without_a_body_is_whole_whatever_length_it_names() {
    for status in [204, 304] {
        let (s, backend) = (Setting::new().await, Backend::new().await);
        let request = http::Request::get(format!("{PREFIX}/"));
        let request = request.body(Body::empty()).unwrap();
        let endpoints = endpoints(Scheme::Https, &[backend.address]);
        let asking = async {
            let metrics = Arc::clone(&s.metrics);
            let response = respond(&s.forward, metrics, endpoints, request).await;
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, 1).await;
            (parts, body.map_err(|failed| failed.to_string()))
        };
        let serving = async {
            let mut connection = accept_two_streams(&backend).await;
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            let response = http::Response::builder().status(status);
            let response = response.header("content-length", "500").body(()).unwrap();
            let mut body = respond.send_response(response, false).unwrap();
            body.send_data(Bytes::new(), true).unwrap();
            while connection.accept().await.is_some_and(|next| next.is_ok()) {}
        };
        let (parts, body) = tokio::select! {
            received = asking => received,
            () = serving => unreachable!("it goes on until the caller has all"),
        };
        assert_eq!(parts.status, status);
        assert_eq!(parts.headers.get("content-length"), None);
        assert_eq!(body, Ok(Bytes::new()), "{status}");
        s.end().await;
    }
}

/// A socket of which the kernel says that `TCP_USER_TIMEOUT` is over.
struct TimedOut;

impl AsyncRead for TimedOut {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for TimedOut {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_backend_that_the_kernel_gives_up_is_504_that_says_so() {
    let io = TokioIo::new(TimedOut);
    let (mut requests, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let request = http::Request::new(Body::empty());
    let (response, _) = tokio::join!(requests.send_request(request), connection);
    let address = SocketAddr::from(([192, 0, 2, 1], 80));
    let state = crate::serve::forward::transport::io::IoState::default();
    let failed = ForwardError::of_exchange(address, &state, response.unwrap_err());
    assert_eq!(
        failed.to_string(),
        "error trying to reach service: 192.0.2.1:80 acknowledged or took nothing for 60s"
    );
    assert_eq!(failed.status().code, http::StatusCode::GATEWAY_TIMEOUT);
}

//! TLS backends that speak HTTP/2: gRPC as a whole, and requests that they do not begin with.

use std::future::poll_fn;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream, client, server};
use http::HeaderMap;
use hyper_util::rt::TokioExecutor;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::serve::certificates::{Serving, server_config};
use http::HeaderValue;

type Connection = server::Connection<TlsStream<TcpStream>, Bytes>;
type Exchange = (http::Request<RecvStream>, SendResponse<Bytes>);

/// The next connection to a backend that offers HTTP/2 by ALPN.
async fn accept(backend: &Backend) -> Connection {
    let tls = TlsAcceptor::from(server_config(
        Serving::self_signed().unwrap(),
        crate::serve::config::Http2Serving::Enabled,
    ));
    let stream = tls.accept(backend.accept().await).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    server::handshake(stream).await.unwrap()
}

async fn next(connection: &mut Connection) -> Exchange {
    connection.accept().await.unwrap().unwrap()
}

fn respond_ok((_, mut respond): Exchange) {
    respond
        .send_response(http::Response::default(), true)
        .unwrap();
}

/// Works on a connection until the other side has closed it.
async fn until_closed(connection: &mut Connection) {
    assert!(connection.accept().await.is_none_or(|next| next.is_err()));
}

#[tokio::test]
async fn grpc_streams_both_ways_and_its_status_arrives_in_the_trailers() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let (caller, served) = tokio::io::duplex(64 * 1024);
    let service = s.service(Scheme::Https, &[backend.address]);
    s.callers.spawn(async move {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder
            .serve_connection(TokioIo::new(served), service)
            .await;
    });
    let (mut requests, connection) = client::handshake(caller).await.unwrap();
    s.callers.spawn(async move { connection.await.unwrap() });
    let request = http::Request::post(format!("https://api.example{PREFIX}/echo.Echo/Stream"))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let (response, mut up) = requests.send_request(request, false).unwrap();
    up.send_data(Bytes::from_static(b"one"), false).unwrap();

    let serving = async {
        let mut connection = accept(&backend).await;
        let (request, mut respond) = next(&mut connection).await;
        assert_eq!(
            request.uri(),
            "https://web.demo.svc/echo.Echo/Stream",
            "the host is the authority"
        );
        assert_eq!(
            (&request.headers()["te"], request.headers().get("host")),
            (&HeaderValue::from_static("trailers"), None)
        );
        let exchange = async {
            let mut body = request.into_body();
            let mut down = respond
                .send_response(http::Response::default(), false)
                .unwrap();
            while let Some(piece) = body.data().await {
                down.send_data(piece.unwrap(), false).unwrap();
            }
            let status = HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-status"),
                HeaderValue::from_static("0"),
            )]);
            down.send_trailers(status).unwrap();
        };
        tokio::join!(exchange, until_closed(&mut connection));
    };
    let asking = async {
        let mut down = response.await.unwrap().into_body();
        assert_eq!(down.data().await.unwrap().unwrap(), "one");
        up.send_data(Bytes::from_static(b"two"), true).unwrap();
        assert_eq!(down.data().await.unwrap().unwrap(), "two");
        let trailers = down.trailers().await.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
        drop((up, down, requests));
        s.end().await;
    };
    tokio::join!(serving, asking);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_502_that_says_what_was_wrong() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Https, &[backend.address]);
    let request = get("/", "Connection: close\r\n");
    caller.write_all(request.as_bytes()).await.unwrap();
    let serving = async {
        let mut connection = accept(&backend).await;
        let (_, mut respond) = next(&mut connection).await;
        let mut response = http::Response::new(());
        for at in 0..5 {
            let name = http::HeaderName::try_from(format!("x-{at}")).unwrap();
            let value = HeaderValue::try_from("a".repeat(60 << 10)).unwrap();
            response.headers_mut().insert(name, value);
        }
        respond.send_response(response, true).unwrap();
        until_closed(&mut connection).await;
    };
    let asking = async {
        let received = rest(&mut caller).await;
        assert!(received.starts_with("HTTP/1.1 502"), "{received}");
        let words = "answered with something that is not HTTP: http2 error: stream error detected";
        assert!(received.contains(words), "{received}");
        s.end().await;
    };
    tokio::join!(serving, asking);
}

#[tokio::test]
async fn a_request_that_was_not_begun_with_is_sent_again_and_one_that_failed_is_not() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let ask = async |s: &mut Setting, request: &str| {
        let mut caller = s.caller(Scheme::Https, &[backend.address]);
        caller.write_all(request.as_bytes()).await.unwrap();
        head(&mut caller).await.lines().next().unwrap().to_owned()
    };
    let post = format!("POST {PREFIX}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let asking = async {
        assert_eq!(ask(&mut s, &get("/1", "")).await, "HTTP/1.1 200 OK");
        let again = ask(&mut s, &get("/refused", "")).await;
        assert_eq!(again, "HTTP/1.1 200 OK", "the stream was refused");
        let again = ask(&mut s, &get("/closed", "")).await;
        assert_eq!(again, "HTTP/1.1 200 OK", "the connection was closed");
        let failed = ask(&mut s, &get("/failed", "")).await;
        assert_eq!(failed, "HTTP/1.1 502 Bad Gateway", "the stream failed");
        let failed = ask(&mut s, &post).await;
        assert_eq!(failed, "HTTP/1.1 502 Bad Gateway", "it was closed again");
        s.end().await;
    };
    let serving = async {
        let mut first = accept(&backend).await;
        respond_ok(next(&mut first).await);
        let (refused, mut respond) = next(&mut first).await;
        assert_eq!(refused.uri().path(), "/refused");
        respond.send_reset(h2::Reason::REFUSED_STREAM);
        // Another connection is shared from now on, so this one is let go.
        let (mut second, ()) = tokio::join!(accept(&backend), until_closed(&mut first));
        let again = next(&mut second).await;
        assert_eq!(again.0.uri().path(), "/refused");
        respond_ok(again);
        assert_eq!(next(&mut second).await.0.uri().path(), "/closed");
        drop(second);
        let mut third = accept(&backend).await;
        respond_ok(next(&mut third).await);
        let (_, mut respond) = next(&mut third).await;
        respond.send_reset(h2::Reason::INTERNAL_ERROR);
        let (request, respond) = next(&mut third).await;
        assert_eq!(request.method(), "POST");
        drop((third, respond));
    };
    tokio::join!(serving, asking);
}

/// Round trips in which nothing may move until it is believed that nothing does.
const QUIET_ROUND_TRIPS: usize = 50;

/// Sends as much as the other side lets through, until it lets nothing through any more.
async fn fill(connection: &mut Connection, bodies: &mut [SendStream<Bytes>]) {
    let mut pings = connection.ping_pong().unwrap();
    let mut quiet = 0;
    while quiet < QUIET_ROUND_TRIPS {
        let mut sent = 0;
        for body in bodies.iter_mut() {
            body.reserve_capacity(1 << 20);
            let length = body.capacity();
            if length > 0 {
                let piece = Bytes::from(vec![b'x'; length]);
                body.send_data(piece, false).unwrap();
            }
            sent += length;
        }
        quiet = if sent == 0 { quiet + 1 } else { 0 };
        pings.send_ping(h2::Ping::opaque()).unwrap();
        tokio::select! {
            pong = poll_fn(|context| pings.poll_pong(context)) => drop(pong.unwrap()),
            other = connection.accept() => panic!("nobody else asks: {other:?}"),
        }
    }
}

/// hyper#2899: downloads that their callers have stopped reading.
#[tokio::test]
async fn downloads_that_nobody_reads_leave_the_others_their_window() {
    const STALLED: usize = 4;
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let (are_stalled, stalled) = tokio::sync::oneshot::channel();
    let serving = async {
        let mut connection = accept(&backend).await;
        let mut open = Vec::new();
        while open.len() < STALLED {
            let (_, mut respond) = next(&mut connection).await;
            let response = http::Response::new(());
            open.push(respond.send_response(response, false).unwrap());
        }
        fill(&mut connection, &mut open).await;
        are_stalled.send(()).unwrap();
        let (_, mut respond) = next(&mut connection).await;
        let response = http::Response::new(());
        let mut body = respond.send_response(response, false).unwrap();
        body.send_data(Bytes::from_static(b"ten bytes."), true)
            .unwrap();
        while connection.accept().await.is_some_and(|next| next.is_ok()) {}
        drop(open);
    };
    let asking = async {
        let mut callers = Vec::new();
        for _ in 0..STALLED {
            let mut caller = s.caller(Scheme::Https, &[backend.address]);
            let request = get("/large", "");
            caller.write_all(request.as_bytes()).await.unwrap();
            assert!(head(&mut caller).await.starts_with("HTTP/1.1 200"));
            callers.push(caller);
        }
        stalled.await.unwrap();
        let mut caller = s.caller(Scheme::Https, &[backend.address]);
        let request = get("/small", "Connection: close\r\n");
        caller.write_all(request.as_bytes()).await.unwrap();
        let limit = std::time::Duration::from_secs(30);
        let received = tokio::time::timeout(limit, rest(&mut caller)).await;
        let received = received.expect("a stalled download holds it up");
        assert!(received.contains("ten bytes."), "{received}");
        drop((callers, caller));
        s.end().await;
    };
    tokio::join!(serving, asking);
}

//! Connections to API servers on loopback: when they are shared, kept, replaced.

mod upgrades;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use futures_util::stream::Empty;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Upstream, UpstreamError};
use crate::lifecycle::Tasks;
use crate::local::api_server::ApiServer;
use crate::local::config::ClusterOptions;
use crate::protocol::USER_AGENT;
use crate::protocol::status::{Request, Response};

/// An API server that speaks HTTP/2, and says `held` only when it is told to.
struct Http2Server {
    address: String,
    connections: Arc<AtomicUsize>,
    release: tokio::sync::watch::Sender<bool>,
    _serving: JoinSet<()>,
}

impl Http2Server {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.unwrap())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let (release, held) = tokio::sync::watch::channel(false);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, held) = (acceptor.clone(), held.clone());
                open.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service =
                        service_fn(move |request: http::Request<_>| respond(request, held.clone()));
                    // A connection that breaks off is what some tests are about.
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .max_concurrent_streams(250)
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            connections,
            release,
            _serving: serving,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A whole body, or one that turns out to be empty only when its end comes behind the head.
type ClientResponse = Either<Full<Bytes>, StreamBody<Empty<Result<Frame<Bytes>, Infallible>>>>;

async fn respond(
    request: http::Request<hyper::body::Incoming>,
    mut held: tokio::sync::watch::Receiver<bool>,
) -> Result<http::Response<ClientResponse>, Infallible> {
    if request.uri().path() == "/held" {
        // The test that ends lets go too.
        let _ = held.wait_for(|is_released| *is_released).await;
    }
    let body = match request.uri().path() {
        "/long" => Bytes::from(vec![0; 4 << 20]),
        "/not-modified" => {
            let body = StreamBody::new(futures_util::stream::empty());
            let response = http::Response::builder().status(304);
            let response = response.header("content-length", "500");
            return Ok(response.body(Either::Right(body)).unwrap());
        }
        _ => Bytes::from_static(b"ok"),
    };
    Ok(http::Response::new(Either::Left(Full::new(body))))
}

async fn upstream(server: &str, head_timeout: Duration) -> Upstream {
    let options = ClusterOptions {
        server: Some(server.to_owned()),
        insecure_skip_tls_verify: server.starts_with("https").then_some(true),
        kubeconfig: Some("/dev/null".into()),
        ..ClusterOptions::default()
    };
    let api = ApiServer::load(&options).await.unwrap();
    Upstream::new(api, head_timeout, Tasks::new())
}

fn request(method: Method, path: &'static str, body: &'static str) -> Request {
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    request
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn requests_share_one_http2_connection_from_the_first_on() {
    let server = Http2Server::start().await;
    let upstream = upstream(&server.address, Duration::ZERO).await;
    let mut asking = JoinSet::new();
    for _ in 0..40 {
        let upstream = upstream.clone();
        asking.spawn(async move {
            text(upstream.send(request(Method::GET, "/", "")).await.unwrap()).await
        });
    }
    while let Some(response) = asking.join_next().await {
        assert_eq!(response.unwrap(), "ok");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_response_without_a_body_is_whole_whatever_length_it_names() {
    let server = Http2Server::start().await;
    let upstream = upstream(&server.address, Duration::ZERO).await;
    let asking = request(Method::GET, "/not-modified", "");
    let response = upstream.send(asking).await.unwrap();
    assert_eq!(response.status(), 304);
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn responses_that_nobody_reads_stop_no_other() {
    let server = Http2Server::start().await;
    let upstream = upstream(&server.address, Duration::ZERO).await;
    let mut stopped = Vec::new();
    for _ in 0..50 {
        let long = upstream.send(request(Method::GET, "/long", "")).await;
        stopped.push(long.unwrap());
        let small =
            async { text(upstream.send(request(Method::GET, "/", "")).await.unwrap()).await };
        let limit = Duration::from_secs(60);
        let answered = tokio::time::timeout(limit, small).await;
        assert_eq!(
            answered.expect("it is answered"),
            "ok",
            "{} stopped",
            stopped.len()
        );
    }
    assert_eq!(server.connections(), 1);
    for long in stopped {
        let whole = to_bytes(long.into_body(), 8 << 20).await.unwrap();
        assert_eq!(whole.len(), 4 << 20);
    }
}

#[tokio::test]
async fn ninety_watches_leave_room_for_the_next_request_on_another_connection() {
    let server = Http2Server::start().await;
    let upstream = upstream(&server.address, Duration::ZERO).await;
    let mut watching = JoinSet::new();
    let first = upstream.send(request(Method::GET, "/", "")).await.unwrap();
    assert_eq!(text(first).await, "ok");
    for _ in 0..90 {
        let upstream = upstream.clone();
        watching.spawn(async move {
            upstream
                .send(request(Method::GET, "/held", ""))
                .await
                .map(|_| ())
        });
    }
    let mut answered = 0;
    while server.connections() < 2 {
        // Each of them may have come before a watch; in the end one finds no place beside ninety.
        let next = upstream.send(request(Method::GET, "/", "")).await.unwrap();
        assert_eq!(text(next).await, "ok");
        answered += 1;
        assert!(answered < 10_000, "no second connection");
    }
    server.release.send_replace(true);
    while let Some(watched) = watching.join_next().await {
        watched.unwrap().unwrap();
    }
}

#[tokio::test]
async fn request_timeout_limits_the_wait_for_a_response() {
    let server = Http2Server::start().await;
    let limit = Duration::from_millis(50);
    let upstream = upstream(&server.address, limit).await;
    let late = upstream
        .send(request(Method::GET, "/held", ""))
        .await
        .unwrap_err();
    assert!(matches!(late, UpstreamError::Timeout(_)), "{late}");
    assert_eq!(late.problem().status.code, 504);
}

/// What a malformed chunk does, too.
fn breaking_off(path: &'static str) -> Request {
    let pieces = [Ok(Bytes::from_static(b"piece")), Err("no chunk")];
    let mut request = request(Method::POST, path, "");
    *request.body_mut() = Body::from_stream(futures_util::stream::iter(pieces));
    request
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_callers_fault_over_either_protocol() {
    let http2 = Http2Server::start().await;
    let (listener, http1) = plain().await;
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut rest = Vec::new();
        // How the connection ends is not what this is about.
        let _ = stream.read_to_end(&mut rest).await;
    });
    for address in [http2.address.clone(), http1] {
        let upstream = upstream(&address, Duration::ZERO).await;
        let failed = upstream.send(breaking_off("/held")).await.unwrap_err();
        let status = failed.problem().status;
        assert_eq!(status.code, 400, "{address}: {failed}");
    }
    reading.join_next().await.unwrap().unwrap();
}

/// Reads a request's head.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap() == 0 {
            return String::new();
        }
    }
    String::from_utf8(head).unwrap()
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn plain() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

#[tokio::test]
async fn what_is_asked_for_the_start_page_says_who_asks() {
    let (listener, address) = plain().await;
    let client = upstream(&address, Duration::ZERO).await.kube_client();
    let (asked, head) = tokio::join!(client.apiserver_version(), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        stream.write_all(OK).await.unwrap();
        head.to_ascii_lowercase()
    });
    // "ok" is no version.
    asked.unwrap_err();
    let agent = format!("\r\nuser-agent: {USER_AGENT}\r\n");
    assert!(head.contains(&agent), "{head}");
}

#[tokio::test]
async fn a_kept_connection_that_closes_under_a_request_is_replaced_without_a_word() {
    let (listener, address) = plain().await;
    let server = async {
        let (mut first, _) = listener.accept().await.unwrap();
        head(&mut first).await;
        first.write_all(OK).await.unwrap();
        // It takes the second request and goes.
        assert!(head(&mut first).await.starts_with("GET /second "));
        drop(first);
        let (mut second, _) = listener.accept().await.unwrap();
        assert!(head(&mut second).await.starts_with("GET /second "));
        second.write_all(OK).await.unwrap();
    };
    let client = async {
        let upstream = upstream(&address, Duration::ZERO).await;
        for path in ["/first", "/second"] {
            let response = upstream.send(request(Method::GET, path, "")).await.unwrap();
            assert_eq!(text(response).await, "ok");
        }
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn a_request_whose_response_is_malformed_is_not_sent_twice() {
    let (listener, address) = plain().await;
    let server = async {
        let (mut first, _) = listener.accept().await.unwrap();
        head(&mut first).await;
        first.write_all(OK).await.unwrap();
        head(&mut first).await;
        first.write_all(b"HTTP/1.1 2x0 what\r\n\r\n").await.unwrap();
    };
    let client = async {
        let upstream = upstream(&address, Duration::ZERO).await;
        let first = upstream.send(request(Method::GET, "/first", "")).await;
        assert_eq!(text(first.unwrap()).await, "ok");
        upstream.send(request(Method::GET, "/second", "")).await
    };
    let limit = Duration::from_secs(60);
    let failed = tokio::time::timeout(limit, async { tokio::join!(server, client).1 }).await;
    let failed = failed.expect("it waits for a second response");
    assert!(matches!(failed, Err(UpstreamError::Broken(_))));
    let again = futures_util::FutureExt::now_or_never(listener.accept());
    assert!(again.is_none(), "a second connection was made");
}

#[tokio::test]
async fn what_must_not_happen_twice_is_not_sent_twice() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let (listener, address) = plain().await;
        let server = async {
            let (mut first, _) = listener.accept().await.unwrap();
            head(&mut first).await;
            first.write_all(OK).await.unwrap();
            let begin = format!("{method} /second ");
            assert!(head(&mut first).await.starts_with(&begin));
            drop(first);
        };
        let client = async {
            let upstream = upstream(&address, Duration::ZERO).await;
            let first = upstream.send(request(Method::GET, "/first", "")).await;
            assert_eq!(text(first.unwrap()).await, "ok");
            upstream.send(request(method.clone(), "/second", "")).await
        };
        let limit = Duration::from_secs(60);
        let failed = tokio::time::timeout(limit, async { tokio::join!(server, client).1 }).await;
        let failed = failed.expect("it waits for a second response");
        assert!(matches!(failed, Err(UpstreamError::Broken(_))), "{method}");
        let again = futures_util::FutureExt::now_or_never(listener.accept());
        assert!(again.is_none(), "{method}: a second connection was made");
    }
}

//! A backend that answers for a pod: it says what it received, streams on demand, and speaks WebSocket.
//!
//! | path | answer |
//! |---|---|
//! | `/` | `hello from NAME` |
//! | `/echo…` | JSON: method, path and query as received, headers in order, the body's length and SHA-256 |
//! | `/bytes/N` | N bytes that [`pattern`] describes |
//! | `/drip` | `one`, and `two` after somebody asked for `/drip/next` |
//! | `/ticks` | a numbered line each 100 ms, and `end` after somebody asked for `/ticks/stop` |
//! | `/status/N` | that status, with a `Location` if the query is one |
//! | `/apis…` | as `/echo`, for an app that gets the whole path |
//! | `/loop` | 302 to itself |
//! | `/basic…` | as `/echo` for [`BASIC`], 401 with a realm for everybody else |
//! | `/headers` | answers with the headers that the query lists as `name=value` |
//! | `/page/br` | an HTML page, in brotli |
//! | `/page` | an HTML page with a link, to what the query says as `href=…` |
//! | `/trailers` | a body with a trailer `x-checksum` |
//! | `/ws` | a WebSocket that echoes; its first message is the path and query that it was asked for with |

mod streams;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256, digest};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use crate::serving::Serving;
use crate::websocket;
pub use streams::pattern;

type Body = BoxBody<Bytes, Infallible>;

/// What `/basic` wants: `guest:pa55word-canary`.
pub const BASIC: &str = "Basic Z3Vlc3Q6cGE1NXdvcmQtY2FuYXJ5";

/// A running backend; it ends, with its connections, when this is dropped.
#[derive(Debug)]
pub struct Backend {
    pub address: SocketAddr,
    connections: watch::Receiver<usize>,
    _serving: Serving,
}

#[derive(Debug)]
struct State {
    name: String,
    next_drip: Notify,
    stop_ticks: Notify,
}

impl Backend {
    /// Serves HTTP/1.1 in the clear.
    pub async fn http(name: &str, address: SocketAddr) -> Self {
        Self::serve(name, address, None).await
    }

    /// Serves TLS with a certificate that nobody trusts, HTTP/2 or HTTP/1.1.
    pub async fn https(name: &str, address: SocketAddr) -> Self {
        let made =
            rcgen::generate_simple_self_signed(["backend".to_owned()]).expect("a certificate");
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())
            .expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a usable certificate");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self::serve(name, address, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    /// Answers what no HTTP server should: the bytes that [`misbehaviour`] has for the path.
    pub async fn raw(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address)
            .await
            .unwrap_or_else(|failed| panic!("{address}: {failed}"));
        let (count, connections) = watch::channel(0);
        let serving = Serving::each(listener, move |mut stream, _| {
            count.send_modify(|count| *count += 1);
            async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let head = String::from_utf8_lossy(&head);
                let path = head.split(' ').nth(1).unwrap_or_default();
                // The other side may not wait for the end of what it can't read.
                let _ = stream.write_all(misbehaviour(path)).await;
                let _ = stream.shutdown().await;
            }
        });
        Self {
            address: serving.address,
            connections,
            _serving: serving,
        }
    }

    async fn serve(name: &str, address: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address)
            .await
            .unwrap_or_else(|failed| panic!("{address}: {failed}"));
        let state = Arc::new(State {
            name: name.to_owned(),
            next_drip: Notify::new(),
            stop_ticks: Notify::new(),
        });
        let (count, connections) = watch::channel(0);
        let serving = Serving::each(listener, move |stream, _| {
            count.send_modify(|count| *count += 1);
            let (state, tls) = (Arc::clone(&state), tls.clone());
            async move {
                // A connection that breaks off is what some tests are about.
                let _ = match tls {
                    None => connection(TokioIo::new(stream), state).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => connection(TokioIo::new(stream), state).await,
                        Err(_) => Ok(()),
                    },
                };
            }
        });
        Self {
            address: serving.address,
            connections,
            _serving: serving,
        }
    }

    /// How many connections were made to it so far.
    pub fn connections(&self) -> usize {
        *self.connections.borrow()
    }
}

/// What a backend that misbehaves says to a path.
fn misbehaviour(path: &str) -> &'static [u8] {
    match path {
        "/garbage" => b"this is no HTTP at all\r\n\r\n",
        "/short" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        "/bad-length" => b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "/two-lengths" => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "/switch" => b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "/099" => b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
        "/early-hints" => b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate",
        "/folded" => b"HTTP/1.1 200 OK\r\nX-Folded: a\r\n  b\r\nContent-Length: 2\r\n\r\nok",
        "/space" => b"HTTP/1.1 200 OK\r\nX-Space : a\r\nContent-Length: 2\r\n\r\nok",
        "/204-length" => b"HTTP/1.1 204 No Content\r\nContent-Length: 500\r\n\r\n",
        "/304-length" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
        "/both-lengths" => b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        _ => b"",
    }
}

fn page(query: &str) -> Response<Body> {
    let href = query.strip_prefix("href=").unwrap_or("relative");
    let href = percent_encoding::percent_decode_str(href).decode_utf8_lossy();
    let mut response = full(format!(
        "<html><body><a href=\"{href}\">link</a></body></html>"
    ));
    response
        .headers_mut()
        .insert("content-type", "text/html".parse().expect("a type"));
    response
}

async fn page_in_brotli() -> Response<Body> {
    let mut encoder = async_compression::tokio::write::BrotliEncoder::new(Vec::new());
    let page = b"<html><body><a href=\"relative\">link</a></body></html>";
    encoder
        .write_all(page)
        .await
        .expect("a Vec takes everything");
    encoder.shutdown().await.expect("a Vec takes everything");
    let mut response = full(encoder.into_inner());
    for (name, value) in [("content-type", "text/html"), ("content-encoding", "br")] {
        let value = value.parse().expect("a header");
        response.headers_mut().insert(name, value);
    }
    response
}

fn trailers() -> Response<Body> {
    let trailers = http::HeaderMap::from_iter([(
        http::HeaderName::from_static("x-checksum"),
        http::HeaderValue::from_static("abc"),
    )]);
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"body"))),
        Ok(Frame::trailers(trailers)),
    ];
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(stream::iter(frames))));
    response
        .headers_mut()
        .insert("trailer", "x-checksum".parse().expect("a header"));
    response
}

async fn connection<S>(
    stream: TokioIo<S>,
    state: Arc<State>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| respond(request, Arc::clone(&state)));
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .preserve_header_case(true)
        .max_headers(2000)
        .max_buf_size(4 << 20);
    builder
        .serve_connection_with_upgrades(stream, service)
        .await
}

async fn respond(
    mut request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    Ok(
        match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
            ["ws"] => websocket(&mut request),
            ["bytes", count] => streams::streamed(count.parse().unwrap_or(0)),
            ["drip"] => streams::drip(state),
            ["drip", "next"] => {
                state.next_drip.notify_one();
                full("next")
            }
            ["ticks"] => streams::ticks(state),
            ["ticks", "stop"] => {
                state.stop_ticks.notify_one();
                full("stopped")
            }
            ["loop"] => status("302", "location=/loop"),
            ["page"] => page(&query),
            ["page", "br"] => page_in_brotli().await,
            ["trailers"] => trailers(),
            ["status", code] => {
                // As an app does that looks at what was sent before it says where to go.
                let _ = request.body_mut().collect().await;
                status(code, &query)
            }
            ["headers"] => with_headers(&query),
            ["basic", ..]
                if request
                    .headers()
                    .get("authorization")
                    .is_none_or(|said| said != BASIC) =>
            {
                unauthorized()
            }
            ["basic", ..] => echo(request).await,
            [first, ..] if first.starts_with("echo") || first == "apis" => echo(request).await,
            _ => full(format!("hello from {}", state.name)),
        },
    )
}

fn full(text: impl Into<Bytes>) -> Response<Body> {
    Response::new(Full::new(text.into()).boxed())
}

fn status(code: &str, query: &str) -> Response<Body> {
    let mut response = full("");
    *response.status_mut() = code.parse().unwrap_or(StatusCode::BAD_REQUEST);
    if let Some(location) = query.strip_prefix("location=") {
        let location = percent_encoding::percent_decode_str(location).decode_utf8_lossy();
        response
            .headers_mut()
            .insert("location", location.parse().expect("a location"));
    }
    response
}

fn unauthorized() -> Response<Body> {
    let mut response = status("401", "");
    let challenge = "Negotiate, Basic realm=\"<the> app\", charset=\"UTF-8\"";
    response
        .headers_mut()
        .insert("www-authenticate", challenge.parse().expect("a challenge"));
    response
}

fn with_headers(query: &str) -> Response<Body> {
    let mut response = full("headers");
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let name = http::HeaderName::try_from(name).expect("a header name");
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
        response
            .headers_mut()
            .append(name, value.parse().expect("a header value"));
    }
    response
}

async fn echo(request: Request<Incoming>) -> Response<Body> {
    let (parts, mut body) = request.into_parts();
    let mut hash = Context::new(&SHA256);
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            hash.update(data);
            length += data.len();
        }
    }
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let said = serde_json::json!({
        "method": parts.method.as_str(), "uri": parts.uri.path_and_query().map(|text| text.as_str()),
        "version": format!("{:?}", parts.version), "headers": headers,
        "length": length, "sha256": hex(hash.finish().as_ref()),
    });
    let mut response = full(said.to_string());
    response
        .headers_mut()
        .insert("content-type", "application/json".parse().expect("a type"));
    response
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of some bytes, as `/echo` says it.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn websocket(request: &mut Request<Incoming>) -> Response<Body> {
    let asked = request.uri().path_and_query().map(ToString::to_string);
    let offered = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    let offered = offered.and_then(|offered| offered.to_str().ok()?.split(',').next());
    let protocol: Option<HeaderValue> = offered.map(|first| first.trim().parse().expect("text"));
    let echo = |socket| websocket::echo(socket, asked.unwrap_or_default());
    let Some(mut response) = websocket::accept(request, echo) else {
        return full("no websocket");
    };
    if let Some(protocol) = protocol {
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response.map(|()| Full::default().boxed())
}

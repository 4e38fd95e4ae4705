//! Bytes on the wire: what a backend receives, what a caller gets, and when connections end.
//!
//! The caller's side is an in-memory pipe with hyper's server behind it, as in the product; the backend is a listener that
//! reads and writes bytes as the test says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::api::RequestInfo;
use crate::authentication::{Caller, User};
use crate::certificates::Source;
use crate::config::{ApiGroup, KubeletTls};
use crate::target::Scheme;
use crate::telemetry::{AccessLog, AuditId, Metrics};

const PREFIX: &str = "/apis/throughway.dev/v1/namespaces/demo/services/web/proxy";

fn config() -> ForwardConfig {
    ForwardConfig {
        connect_limit: Duration::from_secs(5),
        tls_handshake_limit: Duration::from_secs(5),
        response_header_limit: Duration::from_secs(60),
        idle_connection_lifetime: Duration::from_secs(30),
        max_idle_per_endpoint: 8,
        tunnel_idle_limit: Duration::from_secs(3600),
        max_tunnels: 1,
    }
}

/// A forwarder and everything that belongs to it; each test ends it.
struct Setting {
    forward: Arc<Forward>,
    metrics: Arc<Metrics>,
    tasks: Tasks,
    callers: JoinSet<()>,
}

impl Setting {
    async fn new() -> Self {
        Self::with(config()).await
    }

    async fn with(config: ForwardConfig) -> Self {
        let tasks = Tasks::new();
        let sources = crate::certificates::KubeletSources {
            cluster_roots: Source::Nothing,
            token: Source::Nothing,
        };
        let kubelet = KubeletAccess::start(&KubeletTls::AnyCertificate, sources, &tasks)
            .await
            .unwrap();
        let forward = Arc::new(Forward::new(
            config,
            kubelet,
            Outliers::default(),
            tasks.clone(),
        ));
        Self {
            forward,
            metrics: Arc::new(Metrics::new()),
            tasks,
            callers: JoinSet::new(),
        }
    }

    /// A caller's connection, whose requests go to the first address, or to the next that lets itself be connected to.
    fn caller(&mut self, scheme: Scheme, addresses: &[SocketAddr]) -> DuplexStream {
        let (caller, server) = tokio::io::duplex(64 * 1024);
        let mut endpoints = addresses.iter().map(|address| Endpoint {
            address: *address,
            scheme,
            host: HeaderValue::from_static("web.demo.svc"),
            pod: "demo/web-0".into(),
        });
        let choice = Choice {
            first: endpoints.next().unwrap(),
            others: endpoints.collect(),
        };
        let (forward, metrics) = (Arc::clone(&self.forward), Arc::clone(&self.metrics));
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let (forward, metrics, choice) =
                (Arc::clone(&forward), Arc::clone(&metrics), choice.clone());
            async move {
                Ok::<_, Infallible>(answer(&forward, metrics, choice, request.map(Body::new)).await)
            }
        });
        self.callers.spawn(async move {
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).preserve_header_case(true);
            // A connection that breaks off is what some tests are about.
            let _ = builder
                .serve_connection(TokioIo::new(server), service)
                .with_upgrades()
                .await;
        });
        caller
    }

    async fn end(mut self) {
        assert!(
            self.tasks
                .end(Duration::ZERO, Duration::from_secs(10))
                .await,
            "something had to be cut"
        );
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
    }
}

async fn answer(
    forward: &Forward,
    metrics: Arc<Metrics>,
    choice: Choice,
    request: Request,
) -> Response {
    let group = ApiGroup {
        name: "throughway.dev".into(),
        version: "v1",
    };
    let asked = RequestInfo::read(&group, request.method(), request.uri()).unwrap();
    let caller = Caller {
        user: Arc::new(User::default()),
        method: authentication::Method::BearerToken,
    };
    let permit = Permit::for_tests(caller, asked);
    let peer = Peer::new(([192, 0, 2, 1], 4711).into(), Vec::new());
    let journey = Journey::begin(AuditId::of(request.headers()), metrics, AccessLog::off());
    match forward
        .send(&peer, &permit, &journey, choice, request)
        .await
    {
        Ok(forwarded) => forwarded.response,
        Err(failed) => failed.status().into_response(),
    }
}

struct Backend {
    listener: TcpListener,
    address: SocketAddr,
}

impl Backend {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            listener,
        }
    }

    async fn accept(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole head"));
    }
    String::from_utf8(head).unwrap()
}

async fn exactly(stream: &mut (impl AsyncRead + Unpin), expected: &str) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
}

async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // The other side may reset instead of closing; what came before counts.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {PREFIX}{path} HTTP/1.1\r\nHost: api.example\r\n{headers}\r\n")
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_backend_receives_exactly_these_bytes() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let headers =
        "X-Second: 2\r\nAccept: a\r\nx-FIRST: 1\r\nAccept: b\r\nX-Forwarded-For: 198.51.100.7\r\n";
    caller
        .write_all(get("/a//b/../%2F;x?q=%zz&&a=1;b", headers).as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    assert_eq!(
        head(&mut stream).await,
        format!(
            "GET /a//b/../%2F;x?q=%zz&&a=1;b HTTP/1.1\r\nHost: web.demo.svc\r\nX-Second: 2\r\nAccept: a\r\nAccept: b\r\n\
             x-FIRST: 1\r\nX-Forwarded-For: 198.51.100.7, 192.0.2.1\r\nx-forwarded-host: api.example\r\n\
             x-forwarded-proto: https\r\nx-forwarded-uri: {PREFIX}/a//b/../%2F;x\r\nx-forwarded-prefix: {PREFIX}\r\n\r\n"
        )
    );
    stream.write_all(OK).await.unwrap();
    assert!(head(&mut caller).await.starts_with("HTTP/1.1 200 OK\r\n"));
    exactly(&mut caller, "ok").await;
    drop(caller);
    s.end().await;
}

#[tokio::test]
async fn no_caller_can_remove_our_headers_or_smuggle_an_identity() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let headers = "Connection: close, X-Forwarded-Prefix,  x-forwarded-for , , \"x-quoted\"\r\n\
        Connection: X-Once\r\nX-Once: 1\r\nX-Quoted: 1\r\nKeep-Alive: a\r\nProxy-Connection: b\r\nTE: gzip, trailers\r\n\
        X_Forwarded_For: 1.2.3.4\r\nX-Remote_User: root\r\nImpersonate-User: root\r\nAuthorization: Bearer x\r\n\
        Proxy-Authorization: y\r\nUpgrade: h2c\r\nHTTP2-Settings: z\r\nX-Kept: k\r\n";
    caller
        .write_all(get("/", headers).as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    let seen = head(&mut stream).await;
    let names: Vec<String> = seen
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_once(':')?.0.to_ascii_lowercase()))
        .collect();
    assert_eq!(
        names,
        [
            "host",
            "x-kept",
            "te",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-uri",
            "x-forwarded-prefix"
        ]
    );
    assert!(
        seen.contains("x-forwarded-for: 192.0.2.1\r\n")
            && seen.to_lowercase().contains("te: trailers\r\n"),
        "{seen}"
    );
    stream.write_all(OK).await.unwrap();
    head(&mut caller).await;
    drop(caller);
    s.end().await;
}

#[tokio::test]
async fn an_answer_loses_what_belongs_to_its_connection_and_the_cors_headers() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller.write_all(get("/", "").as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    let answer = "HTTP/1.1 200 Fine\r\nX-B: 1\r\nConnection: X-Once\r\nX-Once: 1\r\nKeep-Alive: timeout=5\r\nX-A: 2\r\n\
        Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\nAccess-Control-Max-Age: 5\r\n\
        Set-Cookie: a\r\nSet-Cookie: b\r\nDate: today\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.unwrap();
    assert_eq!(
        head(&mut caller).await,
        "HTTP/1.1 200 Fine\r\nX-B: 1\r\nX-A: 2\r\nAccess-Control-Max-Age: 5\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nDate: today\r\nContent-Length: 0\r\n\r\n"
    );
    drop(caller);
    s.end().await;
}

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

#[tokio::test]
async fn a_connection_that_closes_in_the_middle_of_an_answer_is_not_retried() {
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
async fn told(misbehaviour: &[u8]) -> String {
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
    let told = rest(&mut caller).await;
    drop(stream);
    s.end().await;
    told
}

#[tokio::test]
async fn a_backend_that_misbehaves_is_502_with_the_cause() {
    for (misbehaviour, cause) in [
        (&b""[..], "closed the connection without an answer"),
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
    ] {
        let told = told(misbehaviour).await;
        assert!(told.starts_with("HTTP/1.1 502"), "{told}");
        assert!(
            told.contains(cause) && told.contains("\"kind\":\"Status\""),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_too_short_ends_in_an_abort_and_not_in_a_whole_answer() {
    let told = told(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n").await;
    assert!(
        told.contains("short") && !told.ends_with("0\r\n\r\n"),
        "{told}"
    );
}

#[tokio::test]
async fn a_length_beside_chunks_is_ignored_and_not_passed_on() {
    let told = told(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").await;
    assert!(!told.to_lowercase().contains("content-length: 3"), "{told}");
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
    let told = rest(&mut caller).await;
    assert!(
        told.starts_with("HTTP/1.1 503") && told.contains("refused the connection"),
        "{told}"
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
    let told = rest(&mut caller).await;
    assert!(
        told.starts_with("HTTP/1.1 502") && told.contains("does not speak TLS; try http:"),
        "{told}"
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
    let told = rest(&mut caller).await;
    assert!(
        told.starts_with("HTTP/1.1 504") && told.contains("sent no answer within 60s"),
        "{told}"
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
    assert_eq!(rest(&mut stream).await, "", "before the answer");

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
    assert_eq!(rest(&mut stream).await, "", "during the answer");
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
    let told = head(&mut caller).await;
    assert!(
        told.starts_with("HTTP/1.1 417"),
        "a 100 came before: {told}"
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
         2\r\nup\r\n0\r\nx-up: 1\r\n\r\n"
    );
    caller.write_all(post.as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    assert!(
        head(&mut stream)
            .await
            .to_lowercase()
            .contains("transfer-encoding: chunked")
    );
    exactly(&mut stream, "2\r\nup\r\n0\r\nx-up: 1\r\n\r\n").await;
    let answer = "HTTP/1.1 200 OK\r\nTrailer: x-down\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndown\r\n0\r\nx-down: 2\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.unwrap();
    head(&mut caller).await;
    exactly(&mut caller, "4\r\ndown\r\n0\r\nx-down: 2\r\n\r\n").await;
    drop((caller, stream));
    s.end().await;
}

#[tokio::test]
async fn ambiguous_framing_never_becomes_two_requests() {
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length: +5\r\n",
    ] {
        let (mut s, backend) = (Setting::new().await, Backend::new().await);
        let mut caller = s.caller(Scheme::Http, &[backend.address]);
        let smuggled = format!("0\r\n\r\nGET {PREFIX}/smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let post = format!(
            "POST {PREFIX}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{framing}\r\n{smuggled}"
        );
        caller.write_all(post.as_bytes()).await.unwrap();
        caller.shutdown().await.unwrap();
        let served = async {
            let mut stream = backend.accept().await;
            let mut seen = head(&mut stream).await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
            seen.push_str(&rest(&mut stream).await);
            seen
        };
        let told = tokio::select! {
            told = rest(&mut caller) => told,
            seen = served => {
                assert_eq!(seen.matches(" HTTP/1.1\r\n").count(), 1, "{framing:?}: {seen}");
                rest(&mut caller).await
            }
        };
        assert!(
            told.matches("HTTP/1.1 ").count() <= 1,
            "{framing:?}: {told}"
        );
        s.end().await;
    }
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
const SWITCHED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[tokio::test]
async fn a_refused_upgrade_is_one_answer_and_the_end_of_both_connections() {
    for (code, told_code) in [
        (200, 502),
        (204, 502),
        (302, 502),
        (400, 400),
        (403, 403),
        (500, 500),
    ] {
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
            "HTTP/1.1 {code} No\r\nLocation: http://{}/\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\ntrailing bytes",
            canary.address
        );
        stream.write_all(refusal.as_bytes()).await.unwrap();
        let told = rest(&mut caller).await;
        assert_eq!(told.matches("HTTP/1.1 ").count(), 1, "{told}");
        assert!(told.starts_with(&format!("HTTP/1.1 {told_code}")), "{told}");
        assert!(told_code < 502 || !told.contains("Location"), "{told}");
        assert!(!told.contains("trailing"), "{told}");
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
    let told = head(&mut caller).await;
    assert!(
        told.starts_with("HTTP/1.1 101") && told.contains("Upgrade: websocket\r\n"),
        "{told}"
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
async fn without_its_slash_a_direct_get_is_redirected_and_a_post_is_not() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    caller.write_all(get("?a=1", "").as_bytes()).await.unwrap();
    let told = head(&mut caller).await;
    assert!(
        told.starts_with("HTTP/1.1 301") && told.contains("location: proxy/?a=1\r\n"),
        "{told}"
    );
    let post = format!("POST {PREFIX} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    caller.write_all(post.as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    assert!(head(&mut stream).await.starts_with("POST / HTTP/1.1\r\n"));
    stream.write_all(OK).await.unwrap();
    head(&mut caller).await;
    drop(caller);
    s.end().await;
}

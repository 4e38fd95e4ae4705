//! Bytes on the wire: what a backend receives, what a caller gets, and when connections end.
//!
//! The caller's side is an in-memory pipe with hyper's server behind it, as in the product; the backend is a listener
//! that reads and writes bytes as the test says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

mod effort;
mod exchange;
mod framing;
pub(crate) mod fuzz;
mod heads;
mod http2;
mod informational;
mod pool;
mod strangers;
mod tls;
mod tunnel_buffers;
mod upgrade;
mod wire;

use super::*;
use crate::serve::api::RequestInfo;
use crate::serve::authentication;
use crate::serve::authentication::{Caller, ClaimFilter, User};
use crate::serve::authorization::AuthorizationError;
use crate::serve::certificates::{CredentialSource, SessionKey};
use crate::serve::client::{Clients, PageTokens};
use crate::serve::config::{ApiGroup, KubeletTls};
use crate::serve::destination::Scheme;
use crate::serve::refusal::Refuse;
use crate::serve::telemetry::{AccessLog, AuditId, Metrics};
use http::HeaderValue;

const PREFIX: &str = "/apis/throughway.dev/v1/namespaces/demo/services/web/proxy";

fn config() -> ForwardConfig {
    ForwardConfig {
        connect_timeout: Duration::from_secs(5),
        tls_handshake_timeout: Duration::from_secs(5),
        response_header_timeout: Duration::from_secs(60),
        exchange_idle_timeout: Duration::from_secs(300),
        idle_connection_lifetime: Duration::from_secs(30),
        max_idle_per_endpoint: 8,
        tunnel_idle_timeout: Duration::from_secs(3600),
        tunnel_authorization_interval: Duration::from_secs(300),
        max_tunnels: 1,
        never_forward_cookies: crate::serve::config::CookieNames::default(),
        external_origins: Vec::new(),
        cross_site: crate::protocol::fetch_metadata::CrossSitePolicy::Refuse,
    }
}

/// An authorizer with one opinion.
#[derive(Debug)]
struct Always(Result<(), &'static str>);

impl Reauthorize for Always {
    fn still_permitted<'a>(&'a self, _: &'a Permit) -> Reauthorized<'a> {
        let response = self.0.map_err(|message| AuthorizationError::Forbidden {
            message: message.to_owned(),
            subject: None,
        });
        Box::pin(std::future::ready(response))
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
        Self::authorized_by(config, Arc::new(Always(Ok(())))).await
    }

    async fn authorized_by(config: ForwardConfig, authorizer: Arc<dyn Reauthorize>) -> Self {
        let tasks = Tasks::new();
        let sources = crate::serve::certificates::KubeletSources {
            cluster_roots: CredentialSource::Nothing,
            credential: crate::serve::certificates::KubeletCredentialSource::Nothing,
        };
        let kubelet = KubeletAccess::start(&KubeletTls::AnyCertificate, sources, &tasks)
            .await
            .unwrap();
        let forward = Arc::new(Forward::new(
            config,
            Credentials {
                kubelet,
                logins: Logins::new(SessionKey::random()),
            },
            Outliers::default(),
            authorizer,
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
        let service = self.service(scheme, addresses);
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

    fn service(
        &self,
        scheme: Scheme,
        addresses: &[SocketAddr],
    ) -> impl Service<http::Request<Incoming>, Response = Response, Error = Infallible, Future: Send>
    + Send
    + use<> {
        let endpoints = endpoints(scheme, addresses);
        let (forward, metrics) = (Arc::clone(&self.forward), Arc::clone(&self.metrics));
        service_fn(move |request: http::Request<Incoming>| {
            let (forward, metrics, endpoints) = (
                Arc::clone(&forward),
                Arc::clone(&metrics),
                endpoints.clone(),
            );
            async move {
                Ok::<_, Infallible>(
                    respond(&forward, metrics, endpoints, request.map(Body::new)).await,
                )
            }
        })
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

fn endpoints(scheme: Scheme, addresses: &[SocketAddr]) -> Vec<Endpoint> {
    let endpoints = addresses.iter().map(|address| Endpoint {
        settings: crate::serve::cluster::ServiceSettings::unset(),
        address: crate::serve::destination::DialableAddr::for_tests(*address),
        scheme,
        host: HeaderValue::from_static("web.demo.svc"),
        pod: "demo/web-0".into(),
    });
    endpoints.collect()
}

fn clients(forward: &Forward) -> Clients {
    let claims = ClaimFilter::new(Arc::default());
    Clients::new(
        &forward.config,
        PageTokens::new(SessionKey::random()),
        claims,
    )
}

async fn respond(
    forward: &Forward,
    metrics: Arc<Metrics>,
    endpoints: Vec<Endpoint>,
    mut request: Request,
) -> Response {
    let group = ApiGroup::for_tests();
    let asked = RequestInfo::read(&group, request.method(), request.uri()).unwrap();
    let caller = Caller {
        user: Arc::new(User::default()),
        method: authentication::Method::BearerToken,
    };
    let permit = Permit::for_tests(caller, asked);
    let own = crate::protocol::envelope::unwrap_request(request.headers_mut()).unwrap();
    let client = clients(forward).of(&permit, own, &mut request).unwrap();
    let order = EndpointOrder::for_tests(&permit, endpoints);
    let peer = Peer::new(([192, 0, 2, 1], 4711).into(), Vec::new());
    let context = RequestContext::begin(AuditId::of(request.headers()), metrics, AccessLog::off());
    match forward
        .send(&context, &peer, &client, order, Box::new(request))
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

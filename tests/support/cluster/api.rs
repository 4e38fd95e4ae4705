//! The API server: lists in pages, watches, reviews, and faults on demand.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use futures_util::stream;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::reviews;
use super::store::Store;
use crate::serving::Serving;
use crate::until;

/// The running API server.
#[derive(Debug)]
pub struct Api {
    address: SocketAddr,
    shared: Arc<Shared>,
    tls: Arc<rustls::ServerConfig>,
    serving: Mutex<Option<Serving>>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    /// Requests so far by resource, reviews included.
    asked: Mutex<HashMap<String, u64>>,
    all: AtomicU64,
    /// What they called themselves.
    agents: Mutex<BTreeSet<String>>,
    /// A status code that everything is answered with; 0 for none, 1 for no response at all.
    fault: AtomicU16,
    /// Watches end when this changes.
    cut: watch::Sender<u64>,
}

/// How the API server fails.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    None,
    Code(u16),
    /// Requests are read and never answered.
    Silent,
}

impl Api {
    pub async fn start(
        address: SocketAddr,
        store: Arc<Store>,
        tls: Arc<rustls::ServerConfig>,
    ) -> Self {
        let shared = Arc::new(Shared {
            store,
            asked: Mutex::default(),
            all: AtomicU64::new(0),
            agents: Mutex::default(),
            fault: AtomicU16::new(0),
            cut: watch::Sender::new(0),
        });
        let listener = TcpListener::bind(address)
            .await
            .expect("a port of loopback");
        let address = listener.local_addr().expect("a bound address");
        let api = Self {
            address,
            shared,
            tls,
            serving: Mutex::default(),
        };
        api.serve(listener);
        api
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests came for a resource.
    pub fn asked(&self, resource: &str) -> u64 {
        let asked = self
            .shared
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        asked.get(resource).copied().unwrap_or(0)
    }

    /// The `User-Agent` of all who asked; an empty one stands for none.
    pub fn agents(&self) -> BTreeSet<String> {
        let agents = self.shared.agents.lock();
        agents.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests came at all.
    pub fn asked_in_all(&self) -> u64 {
        self.shared.all.load(Ordering::SeqCst)
    }

    pub fn fail(&self, fault: Fault) {
        let code = match fault {
            Fault::None => 0,
            Fault::Silent => 1,
            Fault::Code(code) => code,
        };
        self.shared.fault.store(code, Ordering::SeqCst);
    }

    /// Ends every watch that runs.
    pub fn cut_watches(&self) {
        self.shared.cut.send_modify(|count| *count += 1);
    }

    /// Goes away: nothing listens any more, and every connection is cut.
    pub fn go_away(&self) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Comes back at the same address.
    pub async fn come_back(&self) {
        let mut listener = None;
        // The old listener's task has been told to end and has not yet.
        until("the address is free", async || {
            listener = TcpListener::bind(self.address).await.ok();
            listener.is_some()
        })
        .await;
        self.serve(listener.expect("it was bound"));
    }

    fn serve(&self, listener: TcpListener) {
        let (tls, shared) = (
            TlsAcceptor::from(Arc::clone(&self.tls)),
            Arc::clone(&self.shared),
        );
        let serving = Serving::each(listener, move |stream, _| {
            connection(stream, tls.clone(), Arc::clone(&shared))
        });
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some(serving);
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.respond(request).await) }
    });
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    // A client that leaves is no failure.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// What a path names.
struct Named {
    resource: String,
    namespace: String,
    name: Option<String>,
}

impl Named {
    fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (["api", "v1", rest @ ..] | ["apis", _, _, rest @ ..]) = parts.as_slice() else {
            return None;
        };
        let (namespace, rest) = match *rest {
            ["namespaces", namespace, ref rest @ ..] if !rest.is_empty() => (namespace, rest),
            ref rest => ("", rest),
        };
        let (resource, name) = match *rest {
            [resource] => (resource, None),
            [resource, name, ..] => (resource, Some(name.to_owned())),
            [] => return None,
        };
        Some(Self {
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            name,
        })
    }
}

impl Shared {
    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let Some(named) = Named::parse(request.uri().path()) else {
            return status(404, "NotFound");
        };
        self.all.fetch_add(1, Ordering::SeqCst);
        *self
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(named.resource.clone())
            .or_default() += 1;
        let agent = request.headers().get(header::USER_AGENT);
        let agent = agent.and_then(|value| value.to_str().ok()).unwrap_or("");
        self.agents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(agent.to_owned());
        match self.fault.load(Ordering::SeqCst) {
            0 => {}
            1 => std::future::pending().await,
            code => return status(code, "InternalError"),
        }
        let token = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        if token
            .and_then(|token| self.store.account(token.strip_prefix("Bearer ")?))
            .is_none()
        {
            return status(401, "Unauthorized");
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        let method = request.method().clone();
        let body = to_bytes(Body::new(request), 4 << 20)
            .await
            .unwrap_or_default();
        self.respond_to_known(&method, &named, &query, &body)
    }

    fn respond_to_known(
        &self,
        method: &Method,
        named: &Named,
        query: &str,
        body: &Bytes,
    ) -> Response<Body> {
        let sent = || serde_json::from_slice::<Value>(body).unwrap_or_default();
        let Named {
            resource,
            namespace,
            name,
        } = named;
        match (method, resource.as_str(), name) {
            (&Method::POST, "tokenreviews", None) => {
                found(&reviews::token_review(&self.store, sent()))
            }
            (&Method::POST, "subjectaccessreviews", None) => {
                found(&reviews::access_review(&self.store, sent()))
            }
            (&Method::GET, _, None) if query.contains("watch=true") => self.watch(resource, query),
            (&Method::GET, _, None) => self.list(resource, query),
            (&Method::GET, _, Some(name)) => self
                .store
                .get(resource, namespace, name)
                .map_or_else(|| status(404, "NotFound"), |object| found(&*object)),
            (&Method::POST, _, None) | (&Method::PUT, _, Some(_)) => {
                found(&self.store.put(resource, sent()))
            }
            (&Method::DELETE, _, Some(name)) => {
                let gone = self.store.delete(resource, namespace, name);
                gone.map_or_else(|| status(404, "NotFound"), |object| found(&object))
            }
            _ => status(405, "MethodNotAllowed"),
        }
    }

    fn list(&self, resource: &str, query: &str) -> Response<Body> {
        let skip = parameter(query, "continue")
            .and_then(|skip| skip.parse().ok())
            .unwrap_or(0);
        let limit = parameter(query, "limit")
            .and_then(|limit| limit.parse().ok())
            .unwrap_or(usize::MAX);
        let (items, version, left) = self.store.list(resource, skip, limit);
        let next = if left > 0 {
            (skip + items.len()).to_string()
        } else {
            String::new()
        };
        found(&List {
            kind: "List",
            api_version: "v1",
            metadata: json!({"resourceVersion": version.to_string(), "continue": next}),
            items: items.iter().map(|item| &**item).collect(),
        })
    }

    fn watch(&self, resource: &str, query: &str) -> Response<Body> {
        let version = parameter(query, "resourceVersion")
            .and_then(|version| version.parse().ok())
            .unwrap_or(0);
        let (store, resource) = (Arc::clone(&self.store), resource.to_owned());
        let (changed, cut) = (self.store.subscribe(), self.cut.subscribe());
        let events = stream::unfold(
            (version, changed, cut),
            move |(version, mut changed, mut cut)| {
                let (store, resource) = (Arc::clone(&store), resource.clone());
                async move {
                    loop {
                        changed.borrow_and_update();
                        let Some(changes) = store.since(&resource, version) else {
                            let gone = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1",
                            "status": "Failure", "reason": "Expired", "message": "too old", "code": 410}});
                            let line = Bytes::from(format!("{gone}\n"));
                            return Some((Ok::<_, Infallible>(line), (u64::MAX, changed, cut)));
                        };
                        if let Some(last) = changes.last().map(|change| change.version) {
                            let lines: String = changes
                                .iter()
                                .map(|change| {
                                    format!(
                                        "{}\n",
                                        json!({"type": change.kind, "object": change.object})
                                    )
                                })
                                .collect();
                            return Some((Ok(Bytes::from(lines)), (last, changed, cut)));
                        }
                        tokio::select! {
                            changed = changed.changed() => changed.ok()?,
                            _ = cut.changed() => return None,
                        }
                    }
                }
            },
        );
        Response::new(Body::from_stream(events))
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// A list on its way; its items are not copied, as there may be twenty thousand.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Value,
    items: Vec<&'a Value>,
}

fn found(object: &impl Serialize) -> Response<Body> {
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(
            serde_json::to_string(object).expect("values are JSON"),
        ))
        .expect("an answer")
}

fn status(code: u16, reason: &str) -> Response<Body> {
    let mut response = found(
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code}),
    );
    *response.status_mut() = StatusCode::from_u16(code).expect("a status code");
    response
}

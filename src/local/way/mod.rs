//! Which proxy of the cluster a target is reached through. In: a request to a target's own origin. Out: the target's answer.
//!
//! Through Throughway everything arrives as it was sent (`enveloped`); the built-in proxy changes some of it, which is undone
//! as far as it can be (`built_in`). Which of them it is shows in whether the API group is there; `--via` decides otherwise.
//!
//! Refuses: what the cluster refuses, told for a person: no such target, no right, no endpoint.

mod built_in;
mod cookies;
mod enveloped;
mod near;
mod ports;
mod refusal;
mod unprefix;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Method, StatusCode, Uri};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::page::WayFact;
use super::place::Target;
use super::problem::{Problem, Reader};
use super::upstream::{Upstream, UpstreamError, is_upgrade};
use crate::config::{TargetKind, Via};
use crate::status::{Request, Response};
use ports::Ports;

/// Where the API group is looked for.
const GROUP: &str = "/apis/throughway.dev/v1";

/// How long what was found holds.
const HOLDS_FOR: Duration = Duration::from_secs(30);

/// The ways to targets. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    upstream: Upstream,
    via: Via,
    found: Arc<Found>,
    ports: Ports,
}

#[derive(Debug)]
struct Found {
    fact: watch::Sender<WayFact>,
    /// When it was looked last; held while somebody looks.
    looked: Mutex<Option<Instant>>,
}

/// A request to a target, and where its browser sees it.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    pub(super) target: &'a Target,
    /// The Host that the browser used.
    pub(super) host: &'a str,
    pub(super) reader: Reader,
    pub(super) request: Request,
}

impl Ways {
    pub(super) fn new(upstream: Upstream, via: Via) -> Self {
        let fact = match via {
            Via::Auto => WayFact::Unknown,
            Via::Throughway => WayFact::Throughway,
            Via::BuiltIn => built_in::fact(),
        };
        let found = Arc::new(Found {
            fact: watch::Sender::new(fact),
            looked: Mutex::default(),
        });
        Self {
            upstream,
            via,
            found,
            ports: Ports::default(),
        }
    }

    /// What is known of the way, and what will be.
    pub(super) fn fact(&self) -> watch::Receiver<WayFact> {
        self.found.fact.subscribe()
    }

    /// Sends a request to a target.
    pub(super) async fn visit(&self, visit: Visit<'_>) -> Result<Response, Problem> {
        let fact = self.look().await.map_err(|failed| failed.problem())?;
        match fact {
            WayFact::Throughway => enveloped::visit(&self.upstream, visit).await,
            WayFact::BuiltIn { .. } | WayFact::Unknown => {
                built_in::visit(&self.upstream, &self.ports, visit).await
            }
        }
    }

    /// Finds out which way there is, unless that is known.
    pub(super) async fn look(&self) -> Result<WayFact, UpstreamError> {
        if self.via != Via::Auto {
            return Ok(self.found.fact.borrow().clone());
        }
        let mut looked = self.found.looked.lock().await;
        if looked.is_some_and(|at| at.elapsed() < HOLDS_FOR) {
            return Ok(self.found.fact.borrow().clone());
        }
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static(GROUP);
        let answer = self.upstream.send(request).await?;
        let fact = match answer.status() {
            StatusCode::OK => WayFact::Throughway,
            StatusCode::UNAUTHORIZED => WayFact::Unknown,
            _ => built_in::fact(),
        };
        if fact != WayFact::Unknown {
            *looked = Some(Instant::now());
        }
        self.found.fact.send_if_modified(|known| {
            let is_new = *known != fact;
            known.clone_from(&fact);
            is_new
        });
        Ok(fact)
    }
}

/// The API's path of a target's proxy, without what is inside the target: `…/services/grafana/proxy`.
fn proxy_path(group: &str, target: &Target) -> String {
    let segment = target.segment();
    let namespace = &target.namespace;
    match target.kind {
        TargetKind::Service => format!("{group}/namespaces/{namespace}/services/{segment}/proxy"),
        TargetKind::Pod => format!("{group}/namespaces/{namespace}/pods/{segment}/proxy"),
        TargetKind::Node => format!("{group}/nodes/{segment}/proxy"),
    }
}

/// Path and query as the browser sent them.
fn raw_path(uri: &Uri) -> &str {
    match uri.path_and_query().map(http::uri::PathAndQuery::as_str) {
        Some(path) if path.starts_with('/') => path,
        _ => "/",
    }
}

/// Sends a request by the way that it needs.
async fn send(upstream: &Upstream, request: Request) -> Result<Response, Problem> {
    let answer = if is_upgrade(request.headers()) && *request.method() == Method::GET {
        upstream.upgrade(request).await
    } else {
        upstream.send(request).await
    };
    answer.map_err(|failed| failed.problem())
}

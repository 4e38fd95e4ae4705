//! Which proxy of the cluster a target is reached through. In: a request to a target's own origin. Out: the target's answer.
//!
//! Through Throughway everything arrives as it was sent (`throughway_proxy`); the built-in proxy changes some of it, which is undone
//! as far as it can be (`built_in`). Which of them it is shows in whether the API group is there; `--via` decides otherwise.
//!
//! Refuses: what the cluster refuses, told for a person: no such target, no right, no endpoint.

pub(super) mod access;
mod built_in;
mod cookies;
mod location;
pub(super) mod mode;
mod ports;
mod refusal;
mod standing;
mod suggestions;
mod throughway_proxy;
mod unprefix;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::inbound::client_kind::ClientKind;
use super::inbound::host_route::Target;
use super::problem::Problem;
use super::upstream::{Upstream, UpstreamError, asked_upgrade, repeatable};
use crate::lifecycle::Tasks;
use crate::local::config::Via;
use crate::protocol::USER_AGENT;
use crate::protocol::status::{Request, Response};
use mode::ProxyMode;
use ports::Ports;
use refusal::{Case, Ground};
use standing::{Standing, Standings, Verb};
use throughway_proxy::Enveloped;

/// Where the API group is looked for.
const GROUP: &str = "/apis/throughway.dev/v1";

/// How long what was found holds, and how long looking again may take beside the requests.
const HOLDS_FOR: Duration = Duration::from_secs(30);

/// The ways to targets. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    upstream: Upstream,
    tasks: Tasks,
    via: Via,
    found: Arc<Found>,
    ports: Ports,
    standings: Standings,
}

/// Written by whoever looks, one at a time; read without waiting.
#[derive(Debug)]
struct Found {
    fact: watch::Sender<ProxyMode>,
    looked: watch::Sender<Option<Instant>>,
    looking: Arc<Mutex<()>>,
}

/// A request to a target, and where its browser sees it.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    pub(super) target: &'a Target,
    /// The Host that the browser used.
    pub(super) host: &'a str,
    pub(super) client: ClientKind,
    pub(super) request: Request,
}

impl<'a> Visit<'a> {
    fn case(&self, upstream: &'a Upstream) -> Case<'a> {
        Case {
            upstream,
            target: self.target,
            host: self.host,
            client: self.client,
        }
    }
}

impl Ways {
    pub(super) fn new(upstream: Upstream, via: Via, tasks: Tasks) -> Self {
        let fact = match via {
            Via::Auto => ProxyMode::Unknown,
            Via::Throughway => ProxyMode::Throughway,
            Via::BuiltIn => built_in::fact(),
        };
        let found = Arc::new(Found {
            fact: watch::Sender::new(fact),
            looked: watch::Sender::new(None),
            looking: Arc::default(),
        });
        Self {
            upstream,
            tasks,
            via,
            found,
            ports: Ports::default(),
            standings: Standings::default(),
        }
    }

    /// What is known of the way, and what will be.
    pub(super) fn fact(&self) -> watch::Receiver<ProxyMode> {
        self.found.fact.subscribe()
    }

    /// Sends a request to a target.
    pub(super) async fn visit(&self, visit: Visit<'_>) -> Result<Response, Problem> {
        let fact = self.look().await.map_err(|failed| failed.problem())?;
        match fact {
            ProxyMode::Throughway if self.via == Via::Auto => self.visit_where_allowed(visit).await,
            ProxyMode::Throughway => {
                let case = visit.case(&self.upstream);
                match throughway_proxy::visit(&self.upstream, visit).await? {
                    Enveloped::OfTarget(answer) => Ok(answer),
                    Enveloped::OfCluster(answer) => Box::pin(refusal::of(case, answer)).await,
                }
            }
            ProxyMode::BuiltIn { .. } | ProxyMode::Unknown => {
                built_in::visit(&self.upstream, &self.ports, visit).await
            }
        }
    }

    /// Through Throughway, or through the built-in proxy for what the user may do with a target there alone: installing
    /// Throughway takes nothing away from those who have no right in its group yet.
    async fn visit_where_allowed(&self, visit: Visit<'_>) -> Result<Response, Problem> {
        let target = visit.target;
        let verb = Verb::of(visit.request.method());
        let spare = match self.standings.of(target, verb) {
            Some(Standing::Refused) => {
                return self.built_in(visit).await;
            }
            Some(Standing::Allowed) => None,
            None => repeatable(&visit.request),
        };
        let case = visit.case(&self.upstream);
        let answer = match throughway_proxy::visit(&self.upstream, visit).await? {
            Enveloped::OfTarget(answer) => {
                self.standings.set(target, verb, Standing::Allowed);
                return Ok(answer);
            }
            Enveloped::OfCluster(answer) => answer,
        };
        if answer.status() != StatusCode::FORBIDDEN {
            return Box::pin(refusal::of(case, answer)).await;
        }
        let (ground, answer) = Box::pin(refusal::ground(answer)).await;
        if ground == Ground::Other {
            return Box::pin(refusal::of(case, answer)).await;
        }
        self.standings.set(target, verb, Standing::Refused);
        let Some(request) = spare else {
            return Box::pin(refusal::of(case, answer)).await;
        };
        let visit = Visit {
            target,
            host: case.host,
            client: case.client,
            request,
        };
        self.built_in(visit).await
    }

    /// Boxed, as it is not the usual way here and would make every request's state as large.
    async fn built_in(&self, visit: Visit<'_>) -> Result<Response, Problem> {
        Box::pin(built_in::visit(&self.upstream, &self.ports, visit)).await
    }

    /// Finds out which way there is. What was known for long is looked up again, which only who knows nothing waits for.
    pub(super) async fn look(&self) -> Result<ProxyMode, UpstreamError> {
        if self.via != Via::Auto || self.is_fresh() {
            return Ok(self.found.fact.borrow().clone());
        }
        if self.found.looked.borrow().is_none() {
            let _looking = self.found.looking.lock().await;
            return Box::pin(self.ask_unless_fresh()).await;
        }
        if let Ok(looking) = Arc::clone(&self.found.looking).try_lock_owned() {
            let ways = self.clone();
            self.tasks.spawn_background(async move {
                let _looking = looking;
                match tokio::time::timeout(HOLDS_FOR, ways.ask_unless_fresh()).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(failed)) => {
                        tracing::debug!(error = %failed, "which way there is could not be looked up again");
                    }
                    Err(_) => tracing::debug!("which way there is was not said in time"),
                }
            });
        }
        Ok(self.found.fact.borrow().clone())
    }

    fn is_fresh(&self) -> bool {
        let looked = *self.found.looked.borrow();
        looked.is_some_and(|at| at.elapsed() < HOLDS_FOR)
    }

    /// Asks the API server. Somebody else may have done it while this one waited for its turn.
    async fn ask_unless_fresh(&self) -> Result<ProxyMode, UpstreamError> {
        if self.is_fresh() {
            return Ok(self.found.fact.borrow().clone());
        }
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static(GROUP);
        let agent = HeaderValue::from_static(USER_AGENT);
        request.headers_mut().insert(header::USER_AGENT, agent);
        self.upstream.below_server_path(&mut request)?;
        let answer = self.upstream.send(request).await?;
        let fact = match answer.status() {
            StatusCode::OK => ProxyMode::Throughway,
            StatusCode::UNAUTHORIZED => ProxyMode::Unknown,
            _ => built_in::fact(),
        };
        self.found.fact.send_if_modified(|known| {
            let is_new = *known != fact;
            known.clone_from(&fact);
            is_new
        });
        // Last, as what was looked up just now is believed.
        let looked = (fact != ProxyMode::Unknown).then(Instant::now);
        self.found.looked.send_replace(looked);
        Ok(fact)
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
async fn send(upstream: &Upstream, mut request: Request) -> Result<Response, Problem> {
    upstream
        .below_server_path(&mut request)
        .map_err(|failed| failed.problem())?;
    let answer = if asked_upgrade(request.headers()).is_some() && *request.method() == Method::GET {
        upstream.upgrade(request).await
    } else {
        upstream.send(request).await
    };
    answer.map_err(|failed| failed.problem())
}

#[cfg(test)]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;

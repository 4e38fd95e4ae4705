//! What a request meets first: the proxy's stages, `/metrics`, or a document.
//!
//! In: a request of a [`Peer`]. Out: a response, whatever happens. The documents (discovery, OpenAPI) are for everybody
//! who is known, health is for everybody, and what is below the group's path is the proxy's.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header;
use tower::ServiceExt;

use super::certificates::Serving;
use super::cluster::Cluster;
use super::pipeline::{self, Stages};
use super::refusal::Refuse;
use crate::causes::causes;
use crate::protocol::status::{Request, Response, Status};
use crate::serve::api;
use crate::serve::authentication::AuthenticationError;
use crate::serve::connection::{Peer, PeerClass};

/// Everything that requests are dispatched to.
#[derive(Debug)]
pub(super) struct Router {
    pub stages: Stages,
    pub documents: axum::Router,
    /// Paths below belong to the proxy.
    pub prefix: String,
    pub cluster: Cluster,
    pub serving: Arc<Serving>,
}

impl Router {
    /// Responds to one request. A defect that panics costs this one request.
    pub(super) async fn respond(self: Arc<Self>, peer: Peer, request: Box<Request>) -> Response {
        // Not by way of a variable: the future would be in memory twice.
        AssertUnwindSafe(self.dispatch(&peer, request))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                tracing::error!("a request met a defect of this server");
                Status::internal("internal error").into_response()
            })
    }

    async fn dispatch(&self, peer: &Peer, request: Box<Request>) -> Response {
        let path = request.uri().path();
        // Longer than the prefix: the prefix itself is a document.
        if path.starts_with(&self.prefix) && path.len() > self.prefix.len() {
            return pipeline::respond(&self.stages, peer, request).await;
        }
        if path == "/metrics" {
            return self
                .metrics(peer, request)
                .await
                .unwrap_or_else(Status::into_response);
        }
        // Somebody who only asks for what everybody may see does not keep a connection slot from those who wait for
        // one.
        if peer.class() == PeerClass::Stranger {
            peer.retire();
        }
        // Before anybody is identified, so that probes work whatever the certificates are.
        if api::is_health(path) {
            return self.document(request).await;
        }
        let mut response = match self.identify_reader(peer, request).await {
            Ok(request) => self.document(request).await,
            Err(refused) => {
                tracing::debug!(peer.address = %peer.address(), error = causes(&refused), "request refused");
                refused.status().into_response()
            }
        };
        remove_duplicates(peer, &mut response);
        response
    }

    /// Before it is known who the front proxy is, nobody can be told from it, and discovery that fails would do harm to
    /// the whole cluster.
    async fn identify_reader(
        &self,
        peer: &Peer,
        request: Box<Request>,
    ) -> Result<Box<Request>, AuthenticationError> {
        let authentication = &self.stages.authentication;
        if !authentication.knows_front_proxy() {
            return Ok(request);
        }
        let (_, request) = authentication.identify_reader(peer, request).await?;
        Ok(request)
    }

    async fn document(&self, request: Box<Request>) -> Response {
        match self.documents.clone().oneshot(*request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// kube-apiserver says itself how long its responses may be cached, and would pass ours on as a second line.
fn remove_duplicates(peer: &Peer, response: &mut Response) {
    if peer.class() == PeerClass::FrontProxy {
        response.headers_mut().remove(header::CACHE_CONTROL);
    }
}

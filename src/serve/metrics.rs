//! `GET /metrics`: who may read it, and the numbers that are read only then.
//!
//! Refuses: another method (405), who is not known (401), whom the authorizer does not let `get` the path (403).
//!
//! Kubernetes: the endpoint of the same name of k8s.io/apiserver (`pkg/server/routes/metrics.go`).

use std::time::SystemTime;

use axum::body::Body;
use http::{HeaderValue, Method, Response as HttpResponse, StatusCode, header};

use super::router::Router;
use crate::protocol::status::{Request, Response, Status};
use crate::serve::connection::Peer;
use crate::serve::fairness::Full;
use crate::serve::refusal::Refuse;
use crate::serve::telemetry::Gauges;

/// In the order of the metrics.
const FULL: [Full; 3] = [Full::Everybody, Full::User, Full::Namespace];

impl Router {
    /// The metrics, for callers who may `get` the path.
    pub(super) async fn metrics(
        &self,
        peer: &Peer,
        request: Box<Request>,
    ) -> Result<Response, Status> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(Status::method_not_allowed("metrics are read with GET"));
        }
        let identified = self
            .stages
            .authentication
            .identify_reader(peer, request)
            .await;
        let (caller, _) = identified.map_err(|refused| refused.status())?;
        let slot = self.stages.in_flight.acquire_for_reader(&caller);
        let _slot = slot.map_err(|refused| refused.status())?;
        // After the slot was taken, as the review is work for the API server.
        let authorized = self
            .stages
            .authorization
            .authorize_path(&caller, "/metrics")
            .await;
        authorized.map_err(|refused| refused.status())?;
        let text = self.stages.metrics.text(&self.gauges());
        let mut response = HttpResponse::new(Body::from(text));
        *response.status_mut() = StatusCode::OK;
        let content_type =
            HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        Ok(response)
    }

    fn gauges(&self) -> Gauges {
        let seconds = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs()
        };
        Gauges {
            token_reviews: self.stages.authentication.reviews(),
            access_reviews: self.stages.authorization.reviews(),
            watch_failures: self.cluster.watch_failures(),
            unreadable_objects: self.cluster.unreadable(),
            certificate_failures: self.serving.failures(),
            certificate_expires: self.serving.not_after().map_or(0, seconds),
            access_lines_lost: self.stages.access.lost(),
            tunnels: self.stages.forward.tunnels() as u64,
            idle_connections: self.stages.forward.idle_connections() as u64,
            limited_known_reviews: self.stages.reviews.limited_known(),
            limited_unknown_reviews: self.stages.reviews.limited_unknown(),
            refused_requests: FULL.map(|full| self.stages.in_flight.refused(full)),
            refused_tunnels: FULL.map(|full| self.stages.forward.tunnels_refused(full)),
        }
    }
}

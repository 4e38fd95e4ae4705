//! Sends a request to its target. In: a request to a target's own origin. Out: the target's response.
//!
//! Throughway is used where it is installed and where the user may use it; the built-in proxy everywhere else.

use std::sync::Arc;

use http::StatusCode;

use super::built_in;
use super::detector::ModeDetector;
use super::mode::ProxyMode;
use super::permissions::{AccessVerb, Permission, PermissionCache};
use super::ports::PortCache;
use super::refusal::{self, ForbiddenReason};
use super::request::TargetRequest;
use super::throughway_proxy::{self, ResponseFrom};
use crate::local::problem::Problem;
use crate::local::upstream::Upstream;
use crate::local::upstream::exchange::repeatable;
use crate::protocol::status::Response;

/// The proxies of the cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::local) struct TargetProxy {
    upstream: Upstream,
    detector: ModeDetector,
    ports: PortCache,
    permissions: PermissionCache,
}

impl TargetProxy {
    pub(in crate::local) fn new(upstream: Upstream, detector: ModeDetector) -> Self {
        Self {
            upstream,
            detector,
            ports: PortCache::default(),
            permissions: PermissionCache::default(),
        }
    }

    pub(in crate::local) fn detector(&self) -> &ModeDetector {
        &self.detector
    }

    /// Sends a request to its target.
    pub(in crate::local) async fn send(
        &self,
        request: TargetRequest<'_>,
    ) -> Result<Response, Problem> {
        let mode = self.detector.detect().await;
        match mode.map_err(|failed| failed.problem())? {
            // Only where the mode was detected: who says --via=throughway wants its refusals, and no other proxy.
            ProxyMode::Throughway(group) if self.detector.is_automatic() => {
                self.send_where_permitted(group, request).await
            }
            ProxyMode::Throughway(group) => {
                let context = request.context(&self.upstream);
                match throughway_proxy::send(&self.upstream, &group, request).await? {
                    ResponseFrom::Target(response) => Ok(response),
                    ResponseFrom::Cluster(response) => {
                        Box::pin(refusal::explain_for(context, response)).await
                    }
                }
            }
            // While the cluster does not say, the built-in proxy is tried, as every cluster has it.
            ProxyMode::BuiltIn { .. } | ProxyMode::Unknown => {
                built_in::send(&self.upstream, &self.ports, request).await
            }
        }
    }

    /// Through Throughway, or through the built-in proxy where the user has no right to the former: installing
    /// Throughway takes nothing away from those who have no right in its group yet.
    async fn send_where_permitted(
        &self,
        group: Arc<str>,
        request: TargetRequest<'_>,
    ) -> Result<Response, Problem> {
        let target = request.target;
        let verb = AccessVerb::of(request.request.method());
        // A copy for the built-in proxy, if Throughway refuses. What changes something is not sent twice.
        let copy = match self.permissions.get(target, verb) {
            // Known for half a minute, so that not every request of a page is refused once before it is sent.
            Some(Permission::Refused) => return self.send_to_built_in(request).await,
            // A right that was there a moment ago needs no copy of the body.
            Some(Permission::Allowed) => None,
            None => repeatable(&request.request),
        };
        let context = request.context(&self.upstream);
        let response = match throughway_proxy::send(&self.upstream, &group, request).await? {
            ResponseFrom::Target(response) => {
                // A response of the target itself, even a 403, shows that the cluster let the request through.
                self.permissions.set(target, verb, Permission::Allowed);
                return Ok(response);
            }
            ResponseFrom::Cluster(response) => response,
        };
        // Anything but a 403 says nothing about rights, so the other proxy would do no better.
        if response.status() != StatusCode::FORBIDDEN {
            return Box::pin(refusal::explain_for(context, response)).await;
        }
        let (reason, response) = Box::pin(refusal::forbidden_reason(response)).await;
        // The user's rights are not the cause, so the other proxy would be a way around the rule.
        if reason == ForbiddenReason::NotProxied {
            return Box::pin(refusal::explain_for(context, response)).await;
        }
        self.permissions.set(target, verb, Permission::Refused);
        // Without a copy this request ends with the refusal; the next one goes through the built-in proxy at once.
        let Some(request) = copy else {
            return Box::pin(refusal::explain_for(context, response)).await;
        };
        let request = TargetRequest {
            target,
            host: context.host,
            client: context.client,
            request,
        };
        self.send_to_built_in(request).await
    }

    /// Boxed, as it is rare here and would make every request's state as large.
    async fn send_to_built_in(&self, request: TargetRequest<'_>) -> Result<Response, Problem> {
        Box::pin(built_in::send(&self.upstream, &self.ports, request)).await
    }
}

//! The port of a Service that was named without one. The built-in proxy knows only ports without a name then, so the
//! one that there is is looked up and named; where there are several, the person or program is told which.
//!
//! What was found holds for a while, so that a page's hundred requests ask once. What was not found is asked for again:
//! it may be made in a moment.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use moka::future::Cache;

use super::refusal;
use super::request::TargetContext;
use crate::local::config::TargetKind;
use crate::local::inbound::client_kind::ClientKind;
use crate::local::inbound::host_route::Target;
use crate::local::problem::{Advice, Problem};
use crate::local::upstream::Upstream;
use crate::protocol::host::without_port;
use crate::protocol::status::{Reason, Response, Status};

const CACHE_TTL: Duration = Duration::from_secs(30);
const MAX_CACHED: u64 = 1000;

/// TCP ports of Services, by namespace and name.
#[derive(Debug, Clone)]
pub(super) struct PortCache(Cache<(String, String), Vec<String>>);

/// Why there are no ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoPorts {
    /// There is no such Service.
    NoService,
    /// The user may not read it, or the cluster did not respond.
    Unknown,
}

/// What becomes of a target's name.
pub(super) enum PortLookup {
    /// With its port, as far as that is known.
    Target(Target),
    /// Told to a program.
    Response(Response),
}

impl Default for PortCache {
    fn default() -> Self {
        let cache = Cache::builder().time_to_live(CACHE_TTL);
        Self(cache.max_capacity(MAX_CACHED).build())
    }
}

impl PortCache {
    /// The target with the port that the built-in proxy needs.
    pub(super) async fn name(&self, context: TargetContext<'_>) -> Result<PortLookup, Problem> {
        let target = context.target;
        if target.kind != TargetKind::Service || target.port.is_some() {
            return Ok(PortLookup::Target(target.clone()));
        }
        let key = (target.namespace.clone(), target.name.clone());
        // Together, so that the first hundred requests of a page wait for one look-up; a failed one is not kept.
        let found = self
            .0
            .try_get_with(key, look_up(context.upstream, target))
            .await;
        let status = match found.map_err(|absent| *absent) {
            Ok(ports) => match &*ports {
                [only] => {
                    // A port without a name is the one that the built-in proxy takes when none is named.
                    let port = (!only.is_empty()).then(|| only.clone());
                    return Ok(PortLookup::Target(Target {
                        port,
                        ..target.clone()
                    }));
                }
                ports => return choose_port(context, ports),
            },
            // Without the right to read Services the built-in proxy may do all the same; it says what is wrong.
            Err(NoPorts::Unknown) => return Ok(PortLookup::Target(target.clone())),
            Err(NoPorts::NoService) => {
                Status::not_found(format!("services \"{}\" not found", target.name))
            }
        };
        refusal::explain_for(context, status.into_response())
            .await
            .map(PortLookup::Response)
    }
}

async fn look_up(upstream: &Upstream, target: &Target) -> Result<Vec<String>, NoPorts> {
    let services: Api<Service> = Api::namespaced(upstream.kube_client(), &target.namespace);
    let service = match services.get_opt(&target.name).await {
        Ok(Some(service)) => service,
        Ok(None) => return Err(NoPorts::NoService),
        Err(_) => return Err(NoPorts::Unknown),
    };
    let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
    // A port without a protocol is TCP (Kubernetes' default); the proxies carry nothing else.
    let is_tcp = |protocol: &Option<String>| protocol.as_deref().is_none_or(|name| name == "TCP");
    let names = ports
        .into_iter()
        .filter(|port| is_tcp(&port.protocol))
        .map(|port| port.name.unwrap_or_default());
    Ok(names.collect())
}

fn choose_port(context: TargetContext<'_>, ports: &[String]) -> Result<PortLookup, Problem> {
    let target = context.target;
    let sentence = match ports {
        [] => format!("the Service {} has no TCP port", target.name),
        ports => format!(
            "the Service {} has {} TCP ports; name one of them: {}",
            target.name,
            ports.len(),
            ports.join(", ")
        ),
    };
    let status = Status::new(http::StatusCode::NOT_FOUND, Reason::NotFound, sentence);
    // A program gets what kubectl would show it; links are for a person.
    if context.client == ClientKind::Program {
        return Ok(PortLookup::Response(status.into_response()));
    }
    // The companion's own port stays, as all origins are at one listener.
    let after_name = &context.host[without_port(context.host).len()..];
    let links = ports.iter().map(|port| {
        let origin = Target {
            port: Some(port.clone()),
            ..target.clone()
        };
        Advice::Link {
            label: format!("{} of {}", port, target.name),
            url: format!("http://{}{after_name}/", origin.host()),
        }
    });
    let title = match ports {
        [] => "It has no port that can be reached",
        _ => "Which port?",
    };
    Err(links.fold(Problem::new(status, title), Problem::advise))
}

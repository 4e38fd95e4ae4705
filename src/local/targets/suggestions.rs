//! Targets whose names are near one that does not exist. In: a target. Out: links to those that the user may see.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use strsim::levenshtein;

use super::request::TargetContext;
use crate::local::config::TargetKind;
use crate::local::inbound::host_route::Target;
use crate::local::problem::Advice;
use crate::local::upstream::Upstream;
use crate::protocol::host::without_port;

/// A page that says what is wrong does not wait longer for what would be nice to know.
const LIST_TIMEOUT: Duration = Duration::from_secs(2);

/// Services that are looked at, and links that are shown.
const MAX_LISTED: u32 = 1000;
const MAX_LINKS: usize = 6;

/// Links to Services with a similar name in the same namespace, or the same name in others, the nearest first.
pub(super) async fn links(context: TargetContext<'_>) -> Vec<Advice> {
    let TargetContext {
        upstream,
        target,
        host,
        ..
    } = context;
    let port = &host[without_port(host).len()..];
    // Names of pods are made up by controllers; one that is near is another pod of the same app at best.
    if target.kind != TargetKind::Service {
        return Vec::new();
    }
    let found = tokio::time::timeout(LIST_TIMEOUT, listed(upstream, target)).await;
    let mut ranked: Vec<(usize, Target)> = found
        .unwrap_or_default()
        .into_iter()
        .filter_map(|service| Some((distance(target, &service)?, service)))
        .collect();
    // By name among equals, so that the same page is shown each time.
    ranked.sort_by(|one, other| (one.0, &one.1.name).cmp(&(other.0, &other.1.name)));
    let nearest = ranked.into_iter().take(MAX_LINKS);
    nearest
        .map(|(_, service)| Advice::Link {
            label: format!("{} in {}", service.name, service.namespace),
            url: format!("http://{}{port}/", service.host()),
        })
        .collect()
}

/// The Services of the cluster, or else those of the namespace.
async fn listed(upstream: &Upstream, target: &Target) -> Vec<Target> {
    // Metadata alone, as large clusters have thousands of Services.
    let params = ListParams::default().limit(MAX_LISTED);
    let everywhere: Api<Service> = Api::all(upstream.kube_client());
    let list = match everywhere.list_metadata(&params).await {
        Ok(list) => list,
        // The right to list all is rare; that to list one's own namespace is common.
        Err(_) => {
            let here: Api<Service> = Api::namespaced(upstream.kube_client(), &target.namespace);
            let Ok(list) = here.list_metadata(&params).await else {
                return Vec::new();
            };
            list
        }
    };
    let service = |one: &kube::core::PartialObjectMeta<Service>| Target {
        kind: TargetKind::Service,
        namespace: one.namespace().unwrap_or_default(),
        name: one.name_any(),
        port: None,
        scheme: None,
    };
    list.items.iter().map(service).collect()
}

/// How far a Service is from what was wanted for; `None`: too far.
fn distance(wanted: &Target, service: &Target) -> Option<usize> {
    if wanted.namespace == service.namespace {
        let is_part = service.name.contains(&wanted.name) || wanted.name.contains(&service.name);
        // A third of the letters: typing errors are few, and short names must not match everything.
        let edits = levenshtein(&wanted.name, &service.name);
        return (is_part || edits <= wanted.name.len().div_ceil(3)).then_some(edits);
    }
    // Somebody who swaps name and namespace finds the Service, too.
    let is_same = wanted.name == service.name || wanted.name == service.namespace;
    is_same.then(|| 1 + levenshtein(&wanted.namespace, &service.namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, namespace: &str) -> Target {
        Target {
            kind: TargetKind::Service,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            port: None,
            scheme: None,
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_near_and_another_name_is_not() {
        let wanted = service("grafna", "monitoring");
        let is_near = |name, namespace| distance(&wanted, &service(name, namespace)).is_some();
        assert!(is_near("grafana", "monitoring"));
        assert!(is_near("grafna-main", "monitoring"));
        assert!(is_near("grafna", "observability"));
        assert!(!is_near("loki", "monitoring"));
        assert!(!is_near("grafana", "observability"));
    }
}

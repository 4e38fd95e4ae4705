//! Which pods are behind a Service whose documents are kept apart (`throughway.dev/isolation: sandbox`): asked for by
//! their own names they are kept apart, too.
//!
//! In: the Services, and at a pod's request its name. Out: yes or no. Kept are the names of such Services by namespace;
//! who their pods are is in the slices. A namespace with more than [`MAX_SERVICES`] of them, or with more than
//! [`MAX_ENDPOINTS`] endpoints behind them, has all of its pods kept apart: what one tenant writes costs others
//! nothing, and never loosens.

use std::collections::BTreeSet;
use std::sync::Arc;

use papaya::HashMap;

use super::endpoints::EndpointSlice;
use super::services::Service;
use super::settings::Isolation;
use super::table::{ObjectKey, ObjectTable};

/// Services of one namespace that are kept by name.
const MAX_SERVICES: usize = 64;

/// Endpoints that are looked at for one request.
const MAX_ENDPOINTS: usize = 4096;

/// Names by namespace; only the task that follows Services writes.
#[derive(Debug, Default)]
pub(super) struct Isolated {
    services: HashMap<Box<str>, Arc<IsolatedNames>>,
}

#[derive(Debug, Clone, Default)]
struct IsolatedNames {
    names: BTreeSet<Box<str>>,
    /// There were more than are kept; it holds until the namespace has none that are known.
    are_all: bool,
}

impl Isolated {
    /// Takes note of what a Service says now; `None`: it is gone.
    pub(super) fn note(&self, key: &ObjectKey, service: Option<&Service>) {
        let is_isolated =
            service.is_some_and(|service| service.settings.isolation == Isolation::Sandbox);
        let services = self.services.pin();
        let known = services.get(&key.namespace);
        // Nothing new, as with nearly every event; so no set is copied.
        if is_isolated == known.is_some_and(|known| known.names.contains(&key.name)) {
            return;
        }
        let mut names = known
            .map(|known| IsolatedNames::clone(known))
            .unwrap_or_default();
        if !is_isolated {
            names.names.remove(&key.name);
        } else if names.names.len() < MAX_SERVICES {
            names.names.insert(key.name.clone());
        } else {
            // Never loosened again by what is forgotten: which Services were not kept is not known.
            names.are_all = true;
        }
        if names.names.is_empty() {
            services.remove(&key.namespace);
        } else {
            services.insert(key.namespace.clone(), Arc::new(names));
        }
    }

    /// Takes out what a whole list did not bring.
    pub(super) fn keep(&self, exists: impl Fn(&str, &str) -> bool) {
        let services = self.services.pin();
        let gone: Vec<ObjectKey> = services
            .iter()
            .flat_map(|(namespace, known)| known.names.iter().map(move |name| (namespace, name)))
            .filter(|(namespace, name)| !exists(namespace, name))
            .map(|(namespace, name)| ObjectKey::new(Some(namespace), name))
            .collect();
        gone.iter().for_each(|key| self.note(key, None));
    }

    /// Whether a Service that selects this pod asks for its documents to be kept apart.
    pub(super) fn has_pod(
        &self,
        namespace: &str,
        pod: &str,
        slices: &ObjectTable<Vec<Arc<EndpointSlice>>>,
    ) -> bool {
        let Some(services) = self.of(namespace) else {
            return false;
        };
        if services.are_all {
            return true;
        }
        let mut looked_at = 0;
        let slices = services
            .names
            .iter()
            // Only names are kept; who the pods are is read when somebody asks, from the slices as they are now.
            .filter_map(|name| slices.get(namespace, name));
        for slice in slices.flat_map(|slices| Vec::clone(&slices)) {
            looked_at += slice.endpoints.len();
            if looked_at > MAX_ENDPOINTS {
                return true;
            }
            let mut pods = slice.endpoints.iter().filter_map(|one| one.pod.as_ref());
            if pods.any(|(_, name)| &**name == pod) {
                return true;
            }
        }
        false
    }

    fn of(&self, namespace: &str) -> Option<Arc<IsolatedNames>> {
        self.services.pin().get(namespace).cloned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::serve::cluster::Cluster;

    fn service(name: &str, isolation: &str) -> Value {
        json!({"kind": "Service", "apiVersion": "v1",
            "metadata": {"name": name, "namespace": "demo", "uid": "u", "resourceVersion": "1",
                "annotations": {"throughway.dev/isolation": isolation}},
            "spec": {"ports": [{"port": 80}]}})
    }

    fn slice(service: &str, pods: &[&str]) -> Value {
        let endpoint = |pod: &&str| {
            json!({"addresses": ["10.0.0.1"],
                "targetRef": {"kind": "Pod", "namespace": "demo", "name": pod}})
        };
        json!({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
            "metadata": {"name": format!("{service}-x"), "namespace": "demo", "uid": "u", "resourceVersion": "1",
                "labels": {"kubernetes.io/service-name": service}},
            "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(), "ports": []})
    }

    #[tokio::test]
    async fn a_pod_is_as_strict_as_the_strictest_of_its_services() {
        let cluster = Cluster::of(&[
            service("open", "none"),
            service("apart", "sandbox"),
            slice("open", &["a", "b"]),
            slice("apart", &["b", "c"]),
        ]);
        let isolated = ["a", "b", "c", "d"].map(|pod| cluster.pod_is_isolated("demo", pod));
        assert_eq!(isolated, [false, true, true, false]);
        assert!(!cluster.pod_is_isolated("other", "b"));
    }

    #[tokio::test]
    async fn a_namespace_with_too_many_of_them_is_kept_apart_as_a_whole() {
        let names: Vec<String> = (0..=MAX_SERVICES).map(|at| format!("s{at}")).collect();
        let services: Vec<Value> = names.iter().map(|name| service(name, "sandbox")).collect();
        let cluster = Cluster::of(&services[..MAX_SERVICES]);
        assert!(!cluster.pod_is_isolated("demo", "a"));
        let cluster = Cluster::of(&services);
        assert!(cluster.pod_is_isolated("demo", "a"));
    }

    #[tokio::test]
    async fn where_too_many_endpoints_would_be_looked_at_a_pod_is_kept_apart() {
        let pods = vec!["a"; 1024];
        let objects = |services: usize| -> Vec<Value> {
            let names = (0..services).map(|at| format!("s{at}"));
            names
                .flat_map(|name| [service(&name, "sandbox"), slice(&name, &pods)])
                .collect()
        };
        assert!(!Cluster::of(&objects(4)).pod_is_isolated("demo", "b"));
        assert!(Cluster::of(&objects(5)).pod_is_isolated("demo", "b"));
    }

    #[tokio::test]
    async fn a_service_that_is_gone_or_changed_counts_no_more() {
        let isolated = Isolated::default();
        let key = ObjectKey::new(Some("demo"), "apart");
        let cluster = Cluster::of(&[service("apart", "sandbox")]);
        let apart = cluster.service("demo", "apart").unwrap();
        isolated.note(&key, Some(&apart));
        assert!(isolated.of("demo").is_some());
        isolated.keep(|_, name| name == "apart");
        assert!(isolated.of("demo").is_some());
        isolated.keep(|_, _| false);
        assert!(isolated.of("demo").is_none());
        isolated.note(&key, Some(&apart));
        isolated.note(&key, None);
        assert!(isolated.of("demo").is_none());
    }
}

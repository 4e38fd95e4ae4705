//! What is stored of Services and EndpointSlices.
//!
//! In: objects as the API server sends them. Out: the few fields that the page shows; a large cluster has many objects.

use kube::Resource;
use kube::api::ObjectMeta;
use serde::Deserialize;

use crate::local::config::TargetScheme;

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::local::start_page) struct ObjectKey {
    pub(in crate::local::start_page) namespace: String,
    pub(in crate::local::start_page) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) struct StoredService {
    pub(in crate::local::start_page) external_name: bool,
    pub(in crate::local::start_page) ports: Vec<StoredPort>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) struct StoredPort {
    pub(in crate::local::start_page) name: String,
    pub(in crate::local::start_page) number: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub(in crate::local::start_page) transport: String,
    pub(in crate::local::start_page) scheme: TargetScheme,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) struct StoredSlice {
    pub(in crate::local::start_page) service: String,
    pub(in crate::local::start_page) endpoints: Vec<StoredEndpoint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) struct StoredEndpoint {
    /// The pod behind it, or its address: a pod of two address families is in two slices.
    pub(in crate::local::start_page) backing: String,
    pub(in crate::local::start_page) ready: bool,
}

/// An object that is watched, and what is stored of it.
pub(in crate::local::start_page) trait WatchedObject {
    type Stored: Send;
    fn store(self) -> Option<(ObjectKey, Self::Stored)>;
    fn key(&self) -> ObjectKey;
}

#[derive(Debug, Clone, Resource, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Service)]
pub(in crate::local::start_page) struct ListedService {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: ListedSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct ListedSpec {
    ports: Option<Vec<ListedPort>>,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedPort {
    #[serde(default)]
    name: String,
    port: u16,
    protocol: Option<String>,
    app_protocol: Option<String>,
}

#[derive(Debug, Clone, Resource, Deserialize)]
#[resource(inherit = k8s_openapi::api::discovery::v1::EndpointSlice)]
pub(in crate::local::start_page) struct ListedEndpointSlice {
    metadata: ObjectMeta,
    endpoints: Option<Vec<ListedEndpoint>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedEndpoint {
    addresses: Option<Vec<String>>,
    conditions: Option<ListedConditions>,
    target_ref: Option<ListedReference>,
}

#[derive(Debug, Clone, Deserialize)]
struct ListedConditions {
    ready: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
struct ListedReference {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
}

impl WatchedObject for ListedService {
    type Stored = StoredService;

    fn store(self) -> Option<(ObjectKey, StoredService)> {
        let key = key(&self.metadata);
        let ports = self.spec.ports.unwrap_or_default();
        let stored = StoredService {
            external_name: self.spec.kind == "ExternalName",
            ports: ports.into_iter().map(StoredPort::from).collect(),
        };
        Some((key, stored))
    }

    fn key(&self) -> ObjectKey {
        key(&self.metadata)
    }
}

impl WatchedObject for ListedEndpointSlice {
    type Stored = StoredSlice;

    fn store(self) -> Option<(ObjectKey, StoredSlice)> {
        let key = key(&self.metadata);
        let mut labels = self.metadata.labels.unwrap_or_default();
        let service = labels.remove("kubernetes.io/service-name")?;
        let endpoints = self.endpoints.unwrap_or_default();
        let endpoints = endpoints.into_iter().map(StoredEndpoint::from).collect();
        Some((key, StoredSlice { service, endpoints }))
    }

    fn key(&self) -> ObjectKey {
        key(&self.metadata)
    }
}

impl From<ListedPort> for StoredPort {
    fn from(raw: ListedPort) -> Self {
        Self {
            scheme: scheme(raw.app_protocol.as_deref(), &raw.name, raw.port),
            name: raw.name,
            number: raw.port,
            transport: raw.protocol.unwrap_or_else(|| "TCP".to_owned()),
        }
    }
}

impl From<ListedEndpoint> for StoredEndpoint {
    fn from(raw: ListedEndpoint) -> Self {
        let mut addresses = raw.addresses.unwrap_or_default().into_iter();
        Self {
            backing: match raw.target_ref {
                Some(reference) => format!("{}/{}", reference.kind, reference.name),
                None => addresses.next().unwrap_or_default(),
            },
            // A pod in two slices counts once, by its name; without a name the address has to do.
            // Kubernetes: "a nil value should be interpreted as true".
            ready: raw.conditions.and_then(|all| all.ready).unwrap_or(true),
        }
    }
}

fn key(metadata: &ObjectMeta) -> ObjectKey {
    ObjectKey {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    }
}

/// What a port speaks, as far as its description tells: the protocol that it names, else its name, else its number.
fn scheme(app_protocol: Option<&str>, name: &str, number: u16) -> TargetScheme {
    let named = |text: &str| match text.split('-').next().unwrap_or_default() {
        "https" | "wss" | "kubernetes.io/wss" => Some(TargetScheme::Https),
        "http" | "http2" | "grpc" | "ws" | "kubernetes.io/ws" => Some(TargetScheme::Http),
        _ => None,
    };
    let by_number = || match number {
        443 | 8443 => TargetScheme::Https,
        _ => TargetScheme::Http,
    };
    app_protocol
        .and_then(|protocol| named(&protocol.to_ascii_lowercase()))
        .or_else(|| named(name))
        .unwrap_or_else(by_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_port_speaks_what_it_says_then_what_it_is_called_then_what_its_number_means() {
        for (app_protocol, name, number, expected) in [
            (None, "", 443, "https"),
            (None, "", 8443, "https"),
            (None, "", 80, "http"),
            (None, "https", 9000, "https"),
            (None, "https-web", 9000, "https"),
            (None, "http", 443, "http"),
            (Some("https"), "http", 80, "https"),
            (Some("HTTPS"), "", 80, "https"),
            (Some("kubernetes.io/wss"), "", 80, "https"),
            (Some("http"), "https", 443, "http"),
            (Some("example.com/own"), "https", 1, "https"),
        ] {
            let found = scheme(app_protocol, name, number).to_string();
            assert_eq!(found, expected, "{app_protocol:?} {name} {number}");
        }
    }

    #[test]
    fn a_slice_without_endpoints_or_conditions_is_read() {
        let slice = json!({"metadata": {"name": "web-x", "namespace": "demo",
                "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"]},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false},
                    "targetRef": {"kind": "Pod", "name": "web-1"}}]});
        let slice: ListedEndpointSlice = serde_json::from_value(slice).unwrap();
        let (key, slice) = slice.store().unwrap();
        assert_eq!((&*key.namespace, &*key.name), ("demo", "web-x"));
        let endpoint = |backing: &str, ready| StoredEndpoint {
            backing: backing.to_owned(),
            ready,
        };
        let expected = [endpoint("10.0.0.1", true), endpoint("Pod/web-1", false)];
        assert_eq!(slice.endpoints, expected);
        let nobodys = json!({"metadata": {"name": "x", "namespace": "demo"}, "endpoints": null});
        let nobodys: ListedEndpointSlice = serde_json::from_value(nobodys).unwrap();
        assert_eq!(nobodys.store(), None);
    }
}

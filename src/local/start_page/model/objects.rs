//! What is kept of Services and EndpointSlices.

use kube::Resource;
use kube::api::ObjectMeta;
use serde::Deserialize;

use crate::cli::TargetScheme;

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::local::start_page) struct Key {
    pub(in crate::local::start_page) namespace: String,
    pub(in crate::local::start_page) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) struct KeptService {
    pub(in crate::local::start_page) external_name: bool,
    pub(in crate::local::start_page) ports: Vec<KeptPort>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) struct KeptPort {
    pub(in crate::local::start_page) name: String,
    pub(in crate::local::start_page) number: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub(in crate::local::start_page) transport: String,
    pub(in crate::local::start_page) scheme: TargetScheme,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) struct KeptSlice {
    pub(in crate::local::start_page) service: String,
    pub(in crate::local::start_page) endpoints: Vec<KeptEndpoint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) struct KeptEndpoint {
    /// The pod behind it, or its address: a pod of two address families is in two slices.
    pub(in crate::local::start_page) whose: String,
    pub(in crate::local::start_page) ready: bool,
}

/// An object that is watched, and what is kept of it.
pub(in crate::local::start_page) trait Kept {
    type Kept: Send;
    fn keep(self) -> Option<(Key, Self::Kept)>;
    fn key(&self) -> Key;
}

#[derive(Debug, Clone, Resource, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Service)]
pub(in crate::local::start_page) struct RawService {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: RawSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RawSpec {
    ports: Option<Vec<RawPort>>,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPort {
    #[serde(default)]
    name: String,
    port: u16,
    protocol: Option<String>,
    app_protocol: Option<String>,
}

#[derive(Debug, Clone, Resource, Deserialize)]
#[resource(inherit = k8s_openapi::api::discovery::v1::EndpointSlice)]
pub(in crate::local::start_page) struct RawSlice {
    metadata: ObjectMeta,
    endpoints: Option<Vec<RawEndpoint>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEndpoint {
    addresses: Option<Vec<String>>,
    conditions: Option<RawConditions>,
    target_ref: Option<RawReference>,
}

#[derive(Debug, Clone, Deserialize)]
struct RawConditions {
    ready: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
struct RawReference {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
}

impl Kept for RawService {
    type Kept = KeptService;

    fn keep(self) -> Option<(Key, KeptService)> {
        let key = key(&self.metadata);
        let ports = self.spec.ports.unwrap_or_default();
        let kept = KeptService {
            external_name: self.spec.kind == "ExternalName",
            ports: ports.into_iter().map(KeptPort::from).collect(),
        };
        Some((key, kept))
    }

    fn key(&self) -> Key {
        key(&self.metadata)
    }
}

impl Kept for RawSlice {
    type Kept = KeptSlice;

    fn keep(self) -> Option<(Key, KeptSlice)> {
        let key = key(&self.metadata);
        let mut labels = self.metadata.labels.unwrap_or_default();
        let service = labels.remove("kubernetes.io/service-name")?;
        let endpoints = self.endpoints.unwrap_or_default();
        let endpoints = endpoints.into_iter().map(KeptEndpoint::from).collect();
        Some((key, KeptSlice { service, endpoints }))
    }

    fn key(&self) -> Key {
        key(&self.metadata)
    }
}

impl From<RawPort> for KeptPort {
    fn from(raw: RawPort) -> Self {
        Self {
            scheme: scheme(raw.app_protocol.as_deref(), &raw.name, raw.port),
            name: raw.name,
            number: raw.port,
            transport: raw.protocol.unwrap_or_else(|| "TCP".to_owned()),
        }
    }
}

impl From<RawEndpoint> for KeptEndpoint {
    fn from(raw: RawEndpoint) -> Self {
        let mut addresses = raw.addresses.unwrap_or_default().into_iter();
        Self {
            whose: match raw.target_ref {
                Some(reference) => format!("{}/{}", reference.kind, reference.name),
                None => addresses.next().unwrap_or_default(),
            },
            // Kubernetes: "a nil value should be interpreted as true".
            ready: raw.conditions.and_then(|all| all.ready).unwrap_or(true),
        }
    }
}

fn key(metadata: &ObjectMeta) -> Key {
    Key {
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
        let slice: RawSlice = serde_json::from_value(slice).unwrap();
        let (key, slice) = slice.keep().unwrap();
        assert_eq!((&*key.namespace, &*key.name), ("demo", "web-x"));
        let endpoint = |whose: &str, ready| KeptEndpoint {
            whose: whose.to_owned(),
            ready,
        };
        let expected = [endpoint("10.0.0.1", true), endpoint("Pod/web-1", false)];
        assert_eq!(slice.endpoints, expected);
        let nobodys = json!({"metadata": {"name": "x", "namespace": "demo"}, "endpoints": null});
        let nobodys: RawSlice = serde_json::from_value(nobodys).unwrap();
        assert_eq!(nobodys.keep(), None);
    }
}

//! Services: their ports, and what they stand for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1;
use serde::Deserialize;

use super::object::{
    MAX_ENTRIES, ObjectContent, ReadObject, first_entries, is_tcp, or_default, port,
};
use super::settings::ServiceSettings;

/// What is kept of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub ports: Box<[ServicePort]>,
    /// It stands for a DNS name, which is never resolved here.
    pub external_name: bool,
    pub cluster_ips: Box<[IpAddr]>,
    pub settings: Arc<ServiceSettings>,
    /// What its annotations say that is not understood.
    pub warnings: Box<[String]>,
}

/// One port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Empty for a port without a name.
    pub name: Box<str>,
    pub number: u16,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RawService {
    #[serde(default, deserialize_with = "or_default")]
    metadata: RawServiceMetadata,
    #[serde(default, deserialize_with = "or_default")]
    spec: RawServiceSpec,
}

impl ObjectContent for RawService {
    type Kind = v1::Service;
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RawServiceMetadata {
    #[serde(default, deserialize_with = "or_default")]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawServiceSpec {
    #[serde(default, deserialize_with = "first_entries")]
    ports: Vec<RawServicePort>,
    #[serde(default, deserialize_with = "or_default", rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "first_entries", rename = "clusterIPs")]
    cluster_ips: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct RawServicePort {
    #[serde(default, deserialize_with = "or_default")]
    name: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    port: i64,
    #[serde(default, deserialize_with = "or_default")]
    protocol: String,
}

impl From<ReadObject<RawService>> for Service {
    fn from(known: ReadObject<RawService>) -> Self {
        let raw = known.content;
        let ports = raw.spec.ports.into_iter();
        let (settings, warnings) = ServiceSettings::read(&raw.metadata.annotations);
        Self {
            ports: ports
                .filter(|port| is_tcp(&port.protocol))
                .filter_map(|raw| {
                    Some(ServicePort {
                        number: port(raw.port)?,
                        name: raw.name,
                    })
                })
                .take(MAX_ENTRIES)
                .collect(),
            external_name: raw.spec.kind == "ExternalName",
            cluster_ips: raw
                .spec
                .cluster_ips
                .iter()
                .take(MAX_ENTRIES)
                .filter_map(|ip| ip.parse().ok())
                .collect(),
            settings,
            warnings: warnings.into(),
        }
    }
}

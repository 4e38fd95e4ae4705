//! Services: their ports, and what they stand for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1;
use serde::Deserialize;

use super::Cluster;
use super::events::reference;
use super::object::{MAX_ENTRIES, ObjectContent, ReadObject, first_entries, or_default, port};
use super::settings::ServiceSettings;
use super::table::ObjectKey;
use super::watch::Change;

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
                .filter(|port| super::is_tcp(&port.protocol))
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

impl Cluster {
    pub(super) fn apply_service(&self, change: Change<RawService>) {
        let table = &self.0.services;
        match change {
            Change::ListBegins => table.list_begins(),
            Change::Listed(known) => {
                let (key, service) = self.judged(known);
                // Noted before the row is there: a reader must not see the Service without its isolation.
                self.0.isolated.note(&key, Some(&service));
                table.insert_listed(key, service);
            }
            Change::ListEnds => {
                table.list_ends();
                let isolated = &self.0.isolated;
                // After the table, so that what was not listed is gone from it.
                isolated.keep(|namespace, name| table.get(namespace, name).is_some());
            }
            Change::Applied(known) => {
                let (key, service) = self.judged(known);
                self.0.isolated.note(&key, Some(&service));
                table.insert(key, service);
            }
            Change::Removed(key) => {
                self.0.isolated.note(&key, None);
                table.remove(&key);
            }
        }
    }

    pub(super) fn confirm_services(&self) {
        self.0.services.confirm();
    }

    /// A Service as it is kept, after it was said what is wrong with it.
    fn judged(&self, known: ReadObject<RawService>) -> (ObjectKey, Arc<Service>) {
        let (key, identity) = (known.key.clone(), known.identity.clone());
        let service = Service::from(known);
        if !service.warnings.is_empty() {
            // Before the new row is in, so that only new sentences are told.
            let before = self.0.services.get(&key.namespace, &key.name);
            let about = reference(identity);
            self.0.events.record(&about, &service, before.as_deref());
        }
        (key, Arc::new(service))
    }
}

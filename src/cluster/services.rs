//! Services: their ports, and what they stand for.

use kube::Resource;
use kube::api::ObjectMeta;
use kube::runtime::watcher::Event;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Cluster;
use super::complaints::reference;
use super::settings::ServiceSettings;
use super::table::Key;

/// What is kept of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub ports: Box<[ServicePort]>,
    /// It stands for a DNS name, which is never resolved here.
    pub external_name: bool,
    /// Its endpoints are pods that a selector finds; without one somebody writes them by hand.
    pub has_selector: bool,
    pub cluster_ips: Box<[IpAddr]>,
    pub settings: Arc<ServiceSettings>,
    /// What its annotations say that is not understood.
    pub complaints: Box<[String]>,
}

/// One port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Empty for a port without a name.
    pub name: Box<str>,
    pub number: u16,
}

#[derive(Debug, Clone, Resource, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Service)]
pub(super) struct RawService {
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    spec: RawSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSpec {
    #[serde(default)]
    ports: Vec<RawPort>,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    selector: BTreeMap<String, String>,
    #[serde(default, rename = "clusterIPs")]
    cluster_ips: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct RawPort {
    #[serde(default)]
    name: Box<str>,
    port: u16,
}

impl From<RawService> for Service {
    fn from(raw: RawService) -> Self {
        let ports = raw.spec.ports.into_iter();
        let (settings, complaints) =
            ServiceSettings::read(&raw.metadata.annotations.unwrap_or_default());
        Self {
            ports: ports
                .map(|port| ServicePort {
                    name: port.name,
                    number: port.port,
                })
                .collect(),
            external_name: raw.spec.kind == "ExternalName",
            has_selector: !raw.spec.selector.is_empty(),
            cluster_ips: raw
                .spec
                .cluster_ips
                .iter()
                .filter_map(|ip| ip.parse().ok())
                .collect(),
            settings,
            complaints: complaints.into(),
        }
    }
}

impl Cluster {
    pub(super) fn apply_service(&self, event: Event<RawService>) {
        let table = &self.0.services;
        match event {
            Event::Init => table.list_begins(),
            Event::InitApply(service) => {
                let (key, service) = self.judged(service);
                table.listed_one(key, service);
            }
            Event::InitDone => table.list_ends(),
            Event::Apply(service) => {
                let (key, service) = self.judged(service);
                table.insert(key, service);
            }
            Event::Delete(service) => table.remove(&key(&service)),
        }
    }

    /// A Service as it is kept, after it was said what is wrong with it.
    fn judged(&self, raw: RawService) -> (Key, Service) {
        let key = key(&raw);
        let about = reference(&raw);
        let service = Service::from(raw);
        if !service.complaints.is_empty() {
            let before = self.0.services.get(&key.namespace, &key.name);
            self.0.complaints.tell(&about, &service, before.as_deref());
        }
        (key, service)
    }
}

fn key(service: &RawService) -> Key {
    Key::new(
        service.metadata.namespace.as_deref(),
        service.metadata.name.as_deref().unwrap_or_default(),
    )
}

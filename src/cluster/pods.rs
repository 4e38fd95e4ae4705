//! Pods: their addresses and their ports.

use std::net::IpAddr;
use std::sync::Arc;

use kube::Resource;
use kube::api::ObjectMeta;
use kube::runtime::watcher::Event;
use serde::Deserialize;

use super::Cluster;
use super::table::Key;

/// What is kept of a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// `namespace/name`, as logs say it.
    pub name: Arc<str>,
    /// `status.podIPs`, the primary one first; those that are no IP addresses are left out.
    pub ips: Box<[IpAddr]>,
    /// The containers' ports in order.
    pub ports: Box<[PodPort]>,
}

/// One container port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPort {
    /// Empty for a port without a name.
    pub name: Box<str>,
    pub number: u16,
}

/// The fields of a Pod that are read; everything else is skipped while it arrives.
#[derive(Debug, Clone, Resource, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Pod)]
pub(super) struct RawPod {
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    spec: RawSpec,
    #[serde(default)]
    status: RawStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RawSpec {
    #[serde(default)]
    containers: Vec<RawContainer>,
}

#[derive(Debug, Clone, Deserialize)]
struct RawContainer {
    #[serde(default)]
    ports: Vec<RawPort>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPort {
    #[serde(default)]
    name: Box<str>,
    container_port: u16,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RawStatus {
    #[serde(default, rename = "podIPs")]
    pod_ips: Vec<RawIp>,
}

#[derive(Debug, Clone, Deserialize)]
struct RawIp {
    #[serde(default)]
    ip: String,
}

impl From<RawPod> for Pod {
    fn from(raw: RawPod) -> Self {
        let key = key(&raw);
        let ports = raw
            .spec
            .containers
            .into_iter()
            .flat_map(|container| container.ports);
        Self {
            name: format!("{}/{}", key.namespace, key.name).into(),
            ips: raw
                .status
                .pod_ips
                .iter()
                .filter_map(|entry| entry.ip.parse().ok())
                .collect(),
            ports: ports
                .map(|port| PodPort {
                    name: port.name,
                    number: port.container_port,
                })
                .collect(),
        }
    }
}

impl Cluster {
    pub(super) fn apply_pod(&self, event: Event<RawPod>) {
        let table = &self.0.pods;
        match event {
            Event::Init => table.list_begins(),
            Event::InitApply(pod) => table.listed_one(key(&pod), pod.into()),
            Event::InitDone => table.list_ends(),
            Event::Apply(pod) => table.insert(key(&pod), pod.into()),
            Event::Delete(pod) => table.remove(&key(&pod)),
        }
    }
}

fn key(pod: &RawPod) -> Key {
    Key::new(
        pod.metadata.namespace.as_deref(),
        pod.metadata.name.as_deref().unwrap_or_default(),
    )
}

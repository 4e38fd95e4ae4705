//! Pods: their addresses and their ports.
//!
//! A pod that has ended keeps its addresses in the API until it is deleted, while the network gives them to the next
//! pod. So a pod in phase Succeeded or Failed has no address here, and `addresses` says which live pod an address
//! belongs to.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1;
use serde::Deserialize;

use super::object::{
    MAX_ENTRIES, ObjectContent, ReadObject, first_entries, is_tcp, or_default, port,
};

/// What is kept of a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// `namespace/name`, as logs say it.
    pub name: Arc<str>,
    /// `status.podIPs`, the primary one first; those that are no IP addresses are left out. Empty once it has ended.
    pub ips: Box<[IpAddr]>,
    /// The containers' ports in order, those of sidecars first.
    pub ports: Box<[PodPort]>,
    pub phase: Phase,
    pub network: Network,
    /// `status.startTime`, which sorts as text; empty before the kubelet has seen the pod.
    pub started: Box<str>,
}

/// Whether a pod's containers can still run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Live,
    /// Succeeded or Failed: for good.
    Ended,
}

/// Whose addresses a pod has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    Own,
    /// `hostNetwork`: those of its node, which it shares with others.
    Host,
}

/// One container port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPort {
    /// Empty for a port without a name.
    pub name: Box<str>,
    pub number: u16,
}

/// The fields of a Pod that are read; everything else is skipped while it arrives.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct RawPod {
    #[serde(default, deserialize_with = "or_default")]
    spec: RawPodSpec,
    #[serde(default, deserialize_with = "or_default")]
    status: RawPodStatus,
}

impl ObjectContent for RawPod {
    type Kind = v1::Pod;
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPodSpec {
    #[serde(default, deserialize_with = "first_entries")]
    init_containers: Vec<RawContainer>,
    #[serde(default, deserialize_with = "first_entries")]
    containers: Vec<RawContainer>,
    #[serde(default, deserialize_with = "or_default")]
    host_network: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawContainer {
    #[serde(default, deserialize_with = "first_entries")]
    ports: Vec<RawContainerPort>,
    #[serde(default, deserialize_with = "or_default")]
    restart_policy: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawContainerPort {
    #[serde(default, deserialize_with = "or_default")]
    name: Box<str>,
    #[serde(default, deserialize_with = "or_default")]
    container_port: i64,
    #[serde(default, deserialize_with = "or_default")]
    protocol: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPodStatus {
    #[serde(default, deserialize_with = "or_default")]
    phase: String,
    #[serde(default, deserialize_with = "or_default")]
    start_time: Box<str>,
    #[serde(default, deserialize_with = "first_entries", rename = "podIPs")]
    pod_ips: Vec<RawIp>,
}

#[derive(Debug, Clone, Deserialize)]
struct RawIp {
    #[serde(default, deserialize_with = "or_default")]
    ip: String,
}

impl From<ReadObject<RawPod>> for Pod {
    fn from(known: ReadObject<RawPod>) -> Self {
        let (key, RawPod { spec, status }) = (known.key, known.content);
        // Any other phase, an unknown one too, may have running containers.
        let phase = match &*status.phase {
            "Succeeded" | "Failed" => Phase::Ended,
            _ => Phase::Live,
        };
        let ips = status.pod_ips.iter().take(MAX_ENTRIES);
        // Native sidecars are init containers that go on running.
        let is_sidecar = |container: &RawContainer| container.restart_policy == "Always";
        let sidecars = spec.init_containers.into_iter().filter(is_sidecar);
        let ports = sidecars
            .chain(spec.containers)
            .flat_map(|container| container.ports)
            .filter(|port| is_tcp(&port.protocol));
        Self {
            name: format!("{}/{}", key.namespace, key.name).into(),
            ips: match phase {
                Phase::Live => ips.filter_map(|entry| entry.ip.parse().ok()).collect(),
                Phase::Ended => Box::default(),
            },
            ports: ports
                .filter_map(|raw| {
                    Some(PodPort {
                        number: port(raw.container_port)?,
                        name: raw.name,
                    })
                })
                .take(MAX_ENTRIES)
                .collect(),
            phase,
            network: if spec.host_network {
                Network::Host
            } else {
                Network::Own
            },
            started: status.start_time,
        }
    }
}

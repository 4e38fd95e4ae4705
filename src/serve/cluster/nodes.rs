//! Nodes: their addresses and where their kubelet listens.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::quality::RandomState;
use k8s_openapi::api::core::v1;
use papaya::HashMap;
use serde::Deserialize;

use super::object::{MAX_ENTRIES, ObjectContent, ReadObject, first_entries, or_default, port};

/// The kubelet's port where a node does not say.
const KUBELET_PORT: u16 = 10250;

/// What is kept of a Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The addresses that are IP addresses, the internal ones first. Host names are not kept: nothing is resolved here.
    pub ips: Box<[IpAddr]>,
    pub kubelet_port: u16,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RawNode {
    #[serde(default, deserialize_with = "or_default")]
    status: RawNodeStatus,
}

impl ObjectContent for RawNode {
    type Kind = v1::Node;
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawNodeStatus {
    #[serde(default, deserialize_with = "first_entries")]
    addresses: Vec<RawAddress>,
    #[serde(default, deserialize_with = "or_default")]
    daemon_endpoints: RawDaemonEndpoints,
}

#[derive(Debug, Clone, Deserialize)]
struct RawAddress {
    #[serde(default, deserialize_with = "or_default", rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    address: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDaemonEndpoints {
    #[serde(default, deserialize_with = "or_default")]
    kubelet_endpoint: RawDaemonEndpoint,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RawDaemonEndpoint {
    /// An int32 that the kubelet writes and nobody checks.
    #[serde(default, deserialize_with = "or_default", rename = "Port")]
    port: i64,
}

impl From<ReadObject<RawNode>> for Node {
    fn from(known: ReadObject<RawNode>) -> Self {
        let raw = known.content;
        let of = |kind: &'static str| {
            raw.status
                .addresses
                .iter()
                .take(MAX_ENTRIES)
                .filter(move |address| address.kind == kind)
                .filter_map(|address| address.address.parse().ok())
        };
        let said = raw.status.daemon_endpoints.kubelet_endpoint.port;
        Self {
            // The order of `--kubelet-preferred-address-types`, without the types that are names.
            ips: of("InternalIP").chain(of("ExternalIP")).collect(),
            kubelet_port: port(said).unwrap_or(KUBELET_PORT),
        }
    }
}

impl Node {
    /// Where its kubelet listens.
    fn listens(&self) -> impl Iterator<Item = (IpAddr, u16)> {
        self.ips
            .iter()
            .map(|ip| (ip.to_canonical(), self.kubelet_port))
    }
}

/// Where kubelets listen: from the nodes' addresses to their kubelets' ports. A node may claim the address of another
/// and let it go again; that takes nothing from the other, so there is one entry for each claim.
#[derive(Debug, Default)]
pub(super) struct Kubelets(HashMap<IpAddr, Box<[u16]>, RandomState>);

impl Kubelets {
    pub(super) fn replace(&self, before: Option<&Node>, now: Option<&Arc<Node>>) {
        let now = now.map(|node| &**node);
        // A node reports its state every few minutes, and nearly always with the same addresses.
        if before == now {
            return;
        }
        for (ip, port) in before.iter().flat_map(|node| node.listens()) {
            self.update(ip, |ports| {
                if let Some(at) = ports.iter().position(|its| *its == port) {
                    // One claim goes and not all with that port: another node may have made the same one.
                    ports.swap_remove(at);
                }
            });
        }
        for (ip, port) in now.iter().flat_map(|node| node.listens()) {
            self.update(ip, |ports| ports.push(port));
        }
    }

    fn update(&self, ip: IpAddr, change: impl FnOnce(&mut Vec<u16>)) {
        let table = self.0.pin();
        let mut ports = table
            .get(&ip)
            .map(|ports| ports.to_vec())
            .unwrap_or_default();
        change(&mut ports);
        if ports.is_empty() {
            table.remove(&ip);
        } else {
            table.insert(ip, ports.into());
        }
    }

    /// Whether a port of an address is its kubelet's; `None` if the address is no node's.
    pub(super) fn listens_at(&self, ip: IpAddr, port: u16) -> Option<bool> {
        let table = self.0.pin();
        let ports = table.get(&ip.to_canonical())?;
        Some(ports.contains(&port))
    }
}

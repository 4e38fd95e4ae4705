//! Nodes: their addresses and where their kubelet listens.

use std::net::IpAddr;

use kube::Resource;
use kube::api::ObjectMeta;
use kube::runtime::watcher::Event;
use serde::Deserialize;

use super::Cluster;
use super::table::Key;

/// The kubelet's port where a node does not say.
const KUBELET_PORT: u16 = 10250;

/// What is kept of a Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The addresses that are IP addresses, the internal ones first. Host names are not kept: nothing is resolved here.
    pub ips: Box<[IpAddr]>,
    pub kubelet_port: u16,
}

#[derive(Debug, Clone, Resource, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Node)]
pub(super) struct RawNode {
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    status: RawStatus,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStatus {
    #[serde(default)]
    addresses: Vec<RawAddress>,
    #[serde(default)]
    daemon_endpoints: RawEndpoints,
}

#[derive(Debug, Clone, Deserialize)]
struct RawAddress {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    address: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEndpoints {
    #[serde(default)]
    kubelet_endpoint: RawEndpoint,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RawEndpoint {
    #[serde(default, rename = "Port")]
    port: u16,
}

impl From<RawNode> for Node {
    fn from(raw: RawNode) -> Self {
        let of = |kind: &'static str| {
            raw.status
                .addresses
                .iter()
                .filter(move |address| address.kind == kind)
                .filter_map(|address| address.address.parse().ok())
        };
        let port = raw.status.daemon_endpoints.kubelet_endpoint.port;
        Self {
            // The order of `--kubelet-preferred-address-types`, without the types that are names.
            ips: of("InternalIP").chain(of("ExternalIP")).collect(),
            kubelet_port: if port == 0 { KUBELET_PORT } else { port },
        }
    }
}

impl Cluster {
    pub(super) fn apply_node(&self, event: Event<RawNode>) {
        let table = &self.0.nodes;
        match event {
            Event::Init => table.list_begins(),
            Event::InitApply(node) => table.listed_one(key(&node), node.into()),
            Event::InitDone => table.list_ends(),
            Event::Apply(node) => table.insert(key(&node), node.into()),
            Event::Delete(node) => table.remove(&key(&node)),
        }
    }
}

fn key(node: &RawNode) -> Key {
    Key::new(None, node.metadata.name.as_deref().unwrap_or_default())
}

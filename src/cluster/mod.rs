//! What the cluster looks like now: kept in memory from watches, one writer a kind, read without waiting.

mod ask;

use std::net::IpAddr;
use std::sync::Arc;

pub use ask::{Unanswered, ask};

/// The read side: cheap to clone, never waits.
#[derive(Debug, Clone)]
pub struct Cluster {}

/// What is kept of a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub ips: Vec<IpAddr>,
    /// The containers' ports in order: name (empty if none) and number.
    pub ports: Vec<(String, u16)>,
}

/// What is kept of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub namespace: String,
    pub name: String,
    pub ports: Vec<ServicePort>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Empty for an unnamed port.
    pub name: String,
    pub port: u16,
}

/// What is kept of a Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub addresses: Vec<IpAddr>,
    pub kubelet_port: u16,
}

impl Cluster {
    pub fn pod(&self, _namespace: &str, _name: &str) -> Option<Arc<Pod>> {
        todo!()
    }

    /// Whether every watch has delivered its first whole list.
    pub fn synced(&self) -> bool {
        todo!()
    }
}

//! 5, where to. In: a [`Permit`]. Out: a [`Target`]: addresses that may be dialled, and how.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;

use crate::authorization::Permit;
use crate::cluster::Cluster;
use crate::config::TargetConfig;
use crate::status::Status;

/// What is spoken at a target's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 in the clear.
    Http,
    /// TLS with any certificate, HTTP/2 or HTTP/1.1 as the backend chooses (the built-in proxy's stance on pods).
    Https,
    /// TLS verified against the kubelet CA, with this server's own ServiceAccount token. Only the path of
    /// [`Target::kubelet_path`] may be asked for there.
    Kubelet,
}

/// Where one permitted request goes.
#[derive(Debug, Clone)]
pub struct Target {
    pub scheme: Scheme,
    /// What the backend sees as `Host`: `web.demo.svc:80`, or the address.
    pub host: HeaderValue,
    /// The addresses in question, checked; never empty.
    pub candidates: Arc<[Candidate]>,
}

/// One address behind a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub address: SocketAddr,
    /// `namespace/name` of the pod that owns the address; empty for nodes.
    pub pod: Arc<str>,
}

#[derive(Debug, thiserror::Error)]
pub enum TargetError {}

impl TargetError {
    pub fn status(&self) -> Status {
        todo!()
    }

    /// One word for the log line and the metric label.
    pub fn reason(&self) -> &'static str {
        todo!()
    }
}

#[derive(Debug)]
pub struct Targets {}

impl Targets {
    pub fn new(_config: TargetConfig, _cluster: Cluster) -> Self {
        todo!()
    }

    /// Waits only when an object is not in memory: then the API server is asked once before "not found" is said.
    pub async fn resolve(&self, _permit: &Permit) -> Result<Target, TargetError> {
        todo!()
    }
}

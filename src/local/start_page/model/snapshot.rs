//! What the start page shows at one moment: plain data, which rendering and tests need nothing else for.

use std::sync::Arc;

use super::cluster_error::ClusterError;
use super::rights::Right;
use crate::local::inbound::host_route::Target;

/// The cluster, as far as it may be seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::local::start_page) struct Snapshot {
    /// Only those with Services: the default one first, then by name.
    pub(in crate::local::start_page) namespaces: Vec<ShownNamespace>,
    pub(in crate::local::start_page) visibility: Visibility,
    /// The API group that rights are in, where it is known.
    pub(in crate::local::start_page) group: Option<Arc<str>>,
    /// Whether all that was asked for has been answered or refused.
    pub(in crate::local::start_page) settled: bool,
    pub(in crate::local::start_page) error: Option<ClusterError>,
}

/// Which part of the cluster is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::local::start_page) enum Visibility {
    /// Services can be listed in all namespaces at once.
    #[default]
    Cluster,
    /// Only in some.
    SomeNamespaces,
    /// Nowhere that is known.
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) struct ShownNamespace {
    pub(in crate::local::start_page) name: String,
    pub(in crate::local::start_page) services: Vec<ShownService>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) struct ShownService {
    pub(in crate::local::start_page) name: String,
    pub(in crate::local::start_page) ports: Vec<ShownPort>,
    pub(in crate::local::start_page) status: EndpointStatus,
}

/// What stands behind a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local::start_page) enum EndpointStatus {
    Endpoints {
        ready: usize,
        all: usize,
    },
    /// Its endpoints may not be read, or were not yet.
    Unknown,
    /// A DNS name (type ExternalName), which no proxy of the cluster resolves.
    ExternalName,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) struct ShownPort {
    /// Empty for a port without a name.
    pub(in crate::local::start_page) name: String,
    pub(in crate::local::start_page) number: u16,
    pub(in crate::local::start_page) link: Link,
}

/// Whether and where a port is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) enum Link {
    To(Target, Right),
    /// Not TCP.
    OtherTransport(String),
    /// No origin can have its name.
    Nameless,
}

impl Snapshot {
    pub(in crate::local::start_page) fn services(&self) -> usize {
        let counts = self.namespaces.iter().map(|one| one.services.len());
        counts.sum()
    }
}

impl ShownService {
    /// What a search is compared with.
    pub(in crate::local::start_page) fn words(&self, namespace: &str) -> String {
        let mut words = format!("{} {namespace}", self.name);
        for port in &self.ports {
            words.push_str(&format!(" {} {}", port.name, port.number));
        }
        words.to_lowercase()
    }
}

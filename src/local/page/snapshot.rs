//! What the start page shows at one moment: plain data, which rendering and tests need nothing else for.

use super::rights::Right;
use super::trouble::Trouble;
use crate::local::place::Target;

/// The cluster, as far as it may be seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Snapshot {
    /// Only those with Services: the default one first, then by name.
    pub(super) namespaces: Vec<Namespace>,
    pub(super) extent: Extent,
    /// The API group that rights are in, where it is known.
    pub(super) group: Option<&'static str>,
    /// Whether all that was asked for has been answered or refused.
    pub(super) settled: bool,
    pub(super) trouble: Option<Trouble>,
}

/// Which part of the cluster is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Extent {
    /// Services can be listed in all namespaces at once.
    #[default]
    Cluster,
    /// Only in some.
    SomeNamespaces,
    /// Nowhere that is known.
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Namespace {
    pub(super) name: String,
    pub(super) services: Vec<Service>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) ports: Vec<Port>,
    pub(super) standing: Standing,
}

/// What stands behind a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
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
pub(super) struct Port {
    /// Empty for a port without a name.
    pub(super) name: String,
    pub(super) number: u16,
    pub(super) link: Link,
}

/// Whether and where a port is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    To(Target, Right),
    /// Not TCP.
    OtherTransport(String),
    /// No origin can have its name.
    Nameless,
}

impl Snapshot {
    pub(super) fn services(&self) -> usize {
        let counts = self.namespaces.iter().map(|one| one.services.len());
        counts.sum()
    }
}

impl Service {
    /// What a search is compared with.
    pub(super) fn words(&self, namespace: &str) -> String {
        let mut words = format!("{} {namespace}", self.name);
        for port in &self.ports {
            words.push_str(&format!(" {} {}", port.name, port.number));
        }
        words.to_lowercase()
    }
}

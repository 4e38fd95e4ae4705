//! 7, where to. In: a [`Permit`]. Out: a [`Destination`]: addresses, never names, and how to speak to them.
//!
//! Resolved from what the watches hold. The names mean what they mean to the built-in proxy, but for two things: a
//! Service with exactly one port needs no port in the URL, and a pod's port may be given by its name.
//!
//! Refuses: 400 for a malformed name or an address that is never dialled, 403 for a path that no kubelet is asked for
//! here, 404 for what does not exist, 503 when that can't be found out. Each says which of them it is.
//!
//! Kubernetes: `pkg/registry/core/{pod,node,service}` `ResourceLocation`, kube-apiserver.

mod address_policy;
mod error;
mod found;
mod kubelet_paths;
mod node;
mod pod;
mod scheme;
mod scheme_name_port;
mod service;

pub use address_policy::{AddressPolicy, Denied, DialableAddr};
pub use error::DestinationError;
pub use found::{Backends, Destination};
pub use scheme::Scheme;

use crate::serve::api::{RequestInfo, Resource};
use crate::serve::authorization::Permit;
use crate::serve::cluster::Cluster;
use crate::serve::config::{IsolationDefault, TargetConfig};
use scheme_name_port::SchemeNamePort;

/// Finds targets.
#[derive(Debug)]
pub struct Destinations {
    cluster: Cluster,
    policy: AddressPolicy,
    isolation: IsolationDefault,
}

impl Destinations {
    pub fn new(config: &TargetConfig, cluster: Cluster) -> Self {
        Self {
            isolation: config.isolation,
            policy: AddressPolicy::new(config, cluster.clone()),
            cluster,
        }
    }

    /// Finds out where a permitted request goes. Waits only for an object that is not in memory.
    ///
    /// # Errors
    /// There is no such target, or none that may be dialled; see [`DestinationError`].
    pub async fn resolve<'p>(
        &self,
        permit: &'p Permit,
    ) -> Result<Destination<'p>, DestinationError> {
        let asked = permit.info();
        // Without all of them it is not known who has an address now, and which is the API server's.
        if !self.cluster.synced() {
            return Err(DestinationError::Unsynced);
        }
        let reference =
            SchemeNamePort::parse(&asked.name).ok_or_else(|| DestinationError::Name {
                resource: asked.resource,
                name: asked.name.to_string(),
            })?;
        let (cluster, policy) = (&self.cluster, &self.policy);
        let mut destination = match asked.resource {
            Resource::Pods => pod::resolve(cluster, policy, permit, &reference).await,
            Resource::Services => service::resolve(cluster, permit, &reference).await,
            Resource::Nodes => node::resolve(cluster, policy, permit, &reference).await,
        }?;
        if self.is_isolated(asked, &reference) {
            destination.settings = destination.settings.sandboxed();
        }
        Ok(destination)
    }

    /// Whether somebody else than the target itself asks for its documents to be kept apart.
    fn is_isolated(&self, asked: &RequestInfo, reference: &SchemeNamePort<'_>) -> bool {
        let cluster = &self.cluster;
        self.isolation == IsolationDefault::Sandbox
            || (asked.resource == Resource::Pods
                && cluster.pod_is_isolated(&asked.namespace, reference.name))
    }
}

#[cfg(test)]
mod tests;

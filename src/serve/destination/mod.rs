//! 7, where to. In: a [`Permit`]. Out: a [`Destination`]: addresses, never names, and how to speak to them.
//!
//! Resolved from what the watches hold. The names mean what they mean to the built-in proxy, but for two things: a Service
//! with exactly one port needs no port in the URL, and a pod's port may be given by its name.
//!
//! Refuses: 400 for a malformed name or an address that is never dialled, 403 for a path that no kubelet is asked for here,
//! 404 for what does not exist, 503 when that can't be found out. Each says which of them it is.
//!
//! Kubernetes: `pkg/registry/core/{pod,node,service}` `ResourceLocation`, kube-apiserver.

mod address_policy;
mod kubelet_paths;
mod node;
mod pod;
mod scheme_name_port;
mod service;

use std::fmt::Write;
use std::sync::Arc;

use http::HeaderValue;

pub use address_policy::{AddressPolicy, Denied, DialableAddr};

use crate::protocol::status::{Status, Subject};
use crate::serve::api::{RequestInfo, Resource};
use crate::serve::authorization::Permit;
use crate::serve::cluster::{ApiServerError, Cluster, EndpointSlice, ServiceSettings};
use crate::serve::config::{IsolationDefault, TargetConfig};
use crate::serve::refusal::Refuse;
use scheme_name_port::SchemeNamePort;

/// What is spoken at a target's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 in the clear.
    Http,
    /// TLS with any certificate, HTTP/2 or HTTP/1.1 as the backend chooses (the built-in proxy's stance on pods).
    Https,
    /// A kubelet: TLS verified against the kubelets' CA, with the token for kubelets.
    Kubelet,
}

/// Where one permitted request goes, with the permit that it was found for.
///
/// Only this stage makes one, and what comes of it borrows the same permit: the endpoints that are chosen, and the response of
/// the one that was sent to. So no permit can meet the endpoint of another request.
///
/// ```compile_fail,E0451
/// # use throughway::serve::{authorization::Permit, destination::Destination};
/// fn elsewhere<'p>(other: &'p Permit, found: Destination<'p>) -> Destination<'p> {
///     Destination { permit: other, ..found }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Destination<'p> {
    permit: &'p Permit,
    scheme: Scheme,
    host: HeaderValue,
    settings: Arc<ServiceSettings>,
    backends: Backends,
}

impl<'p> Destination<'p> {
    /// What this is the destination of.
    pub fn permit(&self) -> &'p Permit {
        self.permit
    }

    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What the backend sees as `Host`.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// How the owner of the target wants it to be proxied.
    pub fn settings(&self) -> &Arc<ServiceSettings> {
        &self.settings
    }

    pub fn backends(&self) -> &Backends {
        &self.backends
    }

    /// A destination for tests of later stages, which is in no other build.
    #[cfg(test)]
    pub(crate) fn for_tests(
        permit: &'p Permit,
        settings: Arc<ServiceSettings>,
        backends: Backends,
    ) -> Self {
        Self {
            permit,
            scheme: Scheme::Http,
            host: HeaderValue::from_static("web.demo.svc"),
            settings,
            backends,
        }
    }
}

/// The addresses behind a target.
#[derive(Debug, Clone)]
pub enum Backends {
    /// One pod or node: its addresses in the order in which to try them, never empty.
    Addresses {
        addresses: Vec<DialableAddr>,
        /// `namespace/name` of the pod; empty for a node.
        pod: Arc<str>,
    },
    /// A Service: whoever of its endpoints is ready when it is chosen.
    Endpoints {
        namespace: Arc<str>,
        service: Arc<str>,
        /// The name of the Service's port, by which each slice knows its own; empty for a port without a name.
        port: Box<str>,
        slices: Arc<Vec<Arc<EndpointSlice>>>,
    },
}

#[cfg(test)]
impl Backends {
    /// Nobody, for tests of what asks for no address.
    pub(crate) fn none() -> Self {
        Self::Addresses {
            addresses: Vec::new(),
            pod: Arc::from(""),
        }
    }
}

/// Why there is no [`Destination`].
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    #[error("invalid {} request {name:?}: the form is [scheme:]name[:port], the scheme http or https", singular(*.resource))]
    Name { resource: Resource, name: String },
    #[error("{} {:?} not found", .0.kind, .0.name)]
    NotFound(Subject),
    #[error("whether {} {:?} exists could not be found out: the API server does not answer", .subject.kind, .subject.name)]
    Unknown {
        subject: Subject,
        #[source]
        cause: Arc<ApiServerError>,
    },
    #[error("{owner} has no port {port:?}{}", listed(.known))]
    NoSuchPort {
        owner: String,
        port: String,
        known: Vec<String>,
    },
    #[error("{owner} has no TCP port, and no other is reached")]
    NoPort { owner: String },
    #[error("{owner} has several ports, name one of them{}", listed(.known))]
    PortNeeded { owner: String, known: Vec<String> },
    #[error("{owner} stands for a DNS name (type ExternalName); names are not resolved here")]
    ExternalName { owner: String },
    #[error("{owner}: address not allowed: {why}")]
    Address { owner: String, why: Denied },
    #[error("{owner} has ended, so it has no address any more")]
    Ended { owner: String },
    #[error(
        "port {port} of nodes is not let through; the administrator names those that are with --node-ports"
    )]
    NodePort { port: u16 },
    #[error("what this server knows of the cluster is not complete or too old; try again later")]
    Unsynced,
    #[error("the name can't be a host name")]
    HostName,
    #[error("a kubelet is asked here only for {}, spelled plainly", kubelet_paths::ALLOWED.join(", "))]
    KubeletPath,
}

impl Refuse for DestinationError {
    fn status(&self) -> Status {
        let message = self.to_string();
        match self {
            Self::Name { .. } | Self::HostName | Self::PortNeeded { .. } | Self::Address { .. } => {
                Status::bad_request(message)
            }
            Self::NotFound(subject) => Status::not_found(message).about(subject.clone()),
            Self::NoSuchPort { .. } | Self::NoPort { .. } => Status::not_found(message),
            Self::Unknown { subject, .. } => Status::unavailable(message).about(subject.clone()),
            Self::ExternalName { .. } | Self::Ended { .. } | Self::Unsynced => {
                Status::unavailable(message)
            }
            Self::KubeletPath | Self::NodePort { .. } => Status::forbidden(message),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Name { .. } | Self::HostName => "name",
            Self::NotFound(_) => "not_found",
            Self::Unknown { .. } => "lookup",
            Self::NoSuchPort { .. } | Self::NoPort { .. } => "no_such_port",
            Self::PortNeeded { .. } => "port_needed",
            Self::ExternalName { .. } => "external_name",
            Self::Address { .. } => "address",
            Self::Ended { .. } => "pod_ended",
            Self::NodePort { .. } => "node_port",
            Self::Unsynced => "unsynced",
            Self::KubeletPath => "kubelet_path",
        }
    }
}

fn singular(resource: Resource) -> &'static str {
    match resource {
        Resource::Nodes => "node",
        Resource::Pods => "pod",
        Resource::Services => "service",
    }
}

fn listed(known: &[String]) -> String {
    if known.is_empty() {
        "; it has no TCP port at all".to_owned()
    } else {
        format!("; it has {}", known.join(", "))
    }
}

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

/// The object that a request is about, for Status and messages.
fn subject(asked: &RequestInfo, reference: &SchemeNamePort<'_>) -> Subject {
    Subject {
        name: reference.name.to_owned(),
        group: String::new(),
        kind: asked.resource.as_str().to_owned(),
    }
}

/// `Host` as a client of the target itself would send it: the port only where it is not the scheme's own.
///
/// # Errors
/// The name is no header text. No Kubernetes object and no IP address has such a name.
fn host_header(
    mut name: String,
    port: u16,
    scheme: Scheme,
) -> Result<HeaderValue, DestinationError> {
    let is_default = matches!(
        (scheme, port),
        (Scheme::Http, 80) | (Scheme::Https | Scheme::Kubelet, 443)
    );
    if !is_default {
        let _ = write!(name, ":{port}");
    }
    HeaderValue::try_from(name).map_err(|_| DestinationError::HostName)
}

#[cfg(test)]
mod tests;

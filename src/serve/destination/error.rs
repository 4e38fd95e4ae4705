//! Why a request leads nowhere, and what the caller is told of it.

use std::sync::Arc;

use super::address_policy::Denied;
use super::kubelet_paths;
use super::scheme_name_port::SchemeNamePort;
use crate::protocol::status::{Status, Subject};
use crate::serve::api::{RequestInfo, Resource};
use crate::serve::cluster::ApiServerError;
use crate::serve::refusal::Refuse;

/// Why there is no [`super::Destination`].
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

/// The object that a request is about, for Status and messages.
pub(super) fn subject(asked: &RequestInfo, reference: &SchemeNamePort<'_>) -> Subject {
    Subject {
        name: reference.name.to_owned(),
        group: String::new(),
        kind: asked.resource.as_str().to_owned(),
    }
}

//! A node: its kubelet's port, with the credential for kubelets and a verified certificate; other ports without either.

use std::net::SocketAddr;
use std::sync::Arc;

use super::address_policy::{AddressPolicy, Denied};
use super::error::{DestinationError, subject};
use super::found::{Backends, Destination, host_header};
use super::kubelet_paths;
use super::pod::bracketed;
use super::scheme::Scheme;
use super::scheme_name_port::SchemeNamePort;
use crate::serve::authorization::Permit;
use crate::serve::cluster::{Cluster, Node, ServiceSettings};

pub(super) async fn resolve<'p>(
    cluster: &Cluster,
    policy: &AddressPolicy,
    permit: &'p Permit,
    reference: &SchemeNamePort<'_>,
) -> Result<Destination<'p>, DestinationError> {
    let asked = permit.info();
    let subject = || subject(asked, reference);
    // From memory where the watch has it, else one question to the API server.
    let node = match cluster.find_node(reference.name).await {
        Ok(Some(node)) => node,
        Ok(None) => return Err(DestinationError::NotFound(subject())),
        Err(cause) => {
            let subject = subject();
            return Err(DestinationError::Unknown { subject, cause });
        }
    };
    let owner = || format!("node {:?}", reference.name);
    let port = port(&node, reference).ok_or_else(|| DestinationError::NoSuchPort {
        owner: owner(),
        port: reference.port.to_owned(),
        known: vec!["those given by number".to_owned()],
    })?;
    let not_allowed = |why| DestinationError::Address {
        owner: owner(),
        why,
    };
    let ip = node
        .ips
        .first()
        .ok_or_else(|| not_allowed(Denied::NoAddress))?;
    // Whatever scheme the URL names: the kubelet's port is always spoken to as a kubelet, with its certificate
    // verified.
    let scheme = if port == node.kubelet_port {
        Scheme::Kubelet
    } else {
        reference.scheme
    };
    // Checked before anything is said of the port: CVE-2022-3294 was a branch that came first.
    let address = policy.check(SocketAddr::new(*ip, port), scheme);
    let address = address.map_err(not_allowed)?;
    // A node's object may carry any address. A pod's address in it would reach the pod past the rules for pods.
    if cluster.is_a_pods(*ip) {
        return Err(not_allowed(Denied::Pods));
    }
    // After the address is judged, so that a closed port says nothing of an address that is never dialled.
    if scheme != Scheme::Kubelet && !policy.is_node_port(port) {
        return Err(DestinationError::NodePort { port });
    }
    // Last: that a path is refused may be told only to who could have asked the node at all.
    if scheme == Scheme::Kubelet && !kubelet_paths::is_allowed(asked.path_inside()) {
        return Err(DestinationError::KubeletPath);
    }
    Ok(Destination {
        permit,
        scheme,
        host: host_header(bracketed(*ip), port, scheme)?,
        settings: ServiceSettings::unset(),
        backends: Backends::Addresses {
            addresses: vec![address],
            pod: Arc::from(""),
        },
    })
}

/// The kubelet's where the request names none. A node's other ports have no names.
fn port(node: &Node, reference: &SchemeNamePort<'_>) -> Option<u16> {
    match reference.port {
        "" => Some(node.kubelet_port),
        _ => reference.port_number(),
    }
}

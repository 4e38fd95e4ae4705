//! A node: its kubelet's port, with the credential for kubelets and a verified certificate; other ports without either.

use std::net::SocketAddr;
use std::sync::Arc;

use super::pod::bracketed;
use super::reference::Reference;
use super::{Permitted, Reach, Scheme, Target, TargetError, host_header, kubelet_paths, subject};
use crate::serve::api::RequestInfo;
use crate::serve::cluster::{Cluster, ServiceSettings};

pub(super) async fn resolve(
    cluster: &Cluster,
    permitted: &Permitted,
    asked: &RequestInfo,
    reference: &Reference<'_>,
) -> Result<Target, TargetError> {
    let subject = subject(asked, reference);
    let node = match cluster.find_node(reference.name).await {
        Ok(Some(node)) => node,
        Ok(None) => return Err(TargetError::NotFound(subject)),
        Err(cause) => return Err(TargetError::Unknown { subject, cause }),
    };
    let owner = || format!("node {:?}", reference.name);
    let port = match (reference.port, reference.port_number()) {
        ("", _) => node.kubelet_port,
        (_, Some(port)) => port,
        (name, None) => {
            let known = vec!["those given by number".to_owned()];
            return Err(TargetError::NoSuchPort {
                owner: owner(),
                port: name.to_owned(),
                known,
            });
        }
    };
    let not_allowed = |why| TargetError::Address {
        owner: owner(),
        why,
    };
    let ip = node
        .ips
        .first()
        .ok_or_else(|| not_allowed("it has no IP address"))?;
    let address = SocketAddr::new(*ip, port);
    let scheme = if port == node.kubelet_port {
        Scheme::Kubelet
    } else {
        reference.scheme
    };
    // Judged before anything is said of the port: CVE-2022-3294 was a branch that came first.
    permitted.judge(address, scheme).map_err(not_allowed)?;
    if cluster.is_a_pods(*ip) {
        return Err(not_allowed("a pod has it"));
    }
    if scheme != Scheme::Kubelet && !permitted.is_node_port(port) {
        return Err(TargetError::NodePort { port });
    }
    if scheme == Scheme::Kubelet && !kubelet_paths::is_allowed(asked.path_inside()) {
        return Err(TargetError::KubeletPath);
    }
    Ok(Target {
        scheme,
        host: host_header(&bracketed(&address), port, scheme)?,
        settings: ServiceSettings::unset(),
        reach: Reach::Addresses {
            addresses: vec![address],
            pod: Arc::from(""),
        },
    })
}

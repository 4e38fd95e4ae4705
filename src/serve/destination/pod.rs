//! A pod: reached at its own addresses, ready or not, as somebody asks for it by name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::address_policy::{AddressPolicy, Denied};
use super::error::{DestinationError, subject};
use super::found::{Backends, Destination, host_header};
use super::scheme::Scheme;
use super::scheme_name_port::SchemeNamePort;
use crate::serve::authorization::Permit;
use crate::serve::cluster::{Cluster, Phase, Pod, ServiceSettings};

pub(super) async fn resolve<'p>(
    cluster: &Cluster,
    policy: &AddressPolicy,
    permit: &'p Permit,
    reference: &SchemeNamePort<'_>,
) -> Result<Destination<'p>, DestinationError> {
    let asked = permit.info();
    let subject = || subject(asked, reference);
    let pod = match cluster.find_pod(&asked.namespace, reference.name).await {
        Ok(Some(pod)) => pod,
        Ok(None) => return Err(DestinationError::NotFound(subject())),
        Err(cause) => {
            let subject = subject();
            return Err(DestinationError::Unknown { subject, cause });
        }
    };
    let owner = || format!("pod {:?}", reference.name);
    // Its address may be another pod's by now.
    if pod.phase == Phase::Ended {
        return Err(DestinationError::Ended { owner: owner() });
    }
    let port = port(&pod, reference).ok_or_else(|| DestinationError::NoSuchPort {
        owner: owner(),
        port: reference.port.to_owned(),
        known: pod
            .ports
            .iter()
            .map(|port| format!("{} ({})", port.name, port.number))
            .collect(),
    })?;
    let not_allowed = |why| DestinationError::Address {
        owner: owner(),
        why,
    };
    let first = pod
        .ips
        .first()
        .ok_or_else(|| not_allowed(Denied::NoAddress))?;
    let mut addresses = Vec::with_capacity(pod.ips.len());
    // All of them have to pass: one that does not shows that the object is not what it seems.
    for ip in &pod.ips {
        let address = policy.check(SocketAddr::new(*ip, port), reference.scheme);
        addresses.push(address.map_err(not_allowed)?);
        // Two pods that claim one address, of which the other has it.
        if !cluster.is_address_of(*ip, &pod) {
            return Err(not_allowed(Denied::AnotherPods));
        }
    }
    Ok(Destination {
        permit,
        scheme: reference.scheme,
        host: host_header(bracketed(*first), port, reference.scheme)?,
        settings: ServiceSettings::unset(),
        backends: Backends::Addresses {
            pod: Arc::clone(&pod.name),
            addresses,
        },
    })
}

/// The port by number or by name; without one the first that a container declares, else the scheme's own.
fn port(pod: &Pod, reference: &SchemeNamePort<'_>) -> Option<u16> {
    // As the built-in proxy takes the first port that a container declares.
    if reference.port.is_empty() {
        let declared = pod.ports.first().map(|port| port.number);
        return Some(declared.unwrap_or(if reference.scheme == Scheme::Https {
            443
        } else {
            80
        }));
    }
    // A number first, as no port has a name of digits alone.
    reference.port_number().or_else(|| {
        pod.ports
            .iter()
            .find(|port| &*port.name == reference.port)
            .map(|port| port.number)
    })
}

/// An address as it stands in a URL.
pub(super) fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

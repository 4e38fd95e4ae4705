//! The one judge of addresses: which may be dialled, and what this server never dials, whoever may ask for it.
//! [`AddressPolicy::check`] alone makes a [`DialableAddr`], and nothing else can be dialled.
//!
//! Objects are written by many; an address in one is no reason to connect to it. Never dialled are loopback,
//! unspecified, link-local (cloud metadata among them), multicast, broadcast, the metadata addresses outside of
//! link-local, the API server itself, and what the administrator denied. An IPv4 address inside an IPv6 one is judged
//! as what it is.
//!
//! A kubelet is reached by the rules for kubelets alone, whatever names its address: a pod with its node's network, a
//! Service of such pods, or a node's port.
//!
//! CVE-2022-3294, CVE-2021-25737, CVE-2020-8555: each was an address that nobody had judged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::{Deref, RangeInclusive};

use ipnet::IpNet;

use super::scheme::Scheme;
use crate::serve::cluster::Cluster;
use crate::serve::config::{Loopback, TargetConfig};

/// Metadata services that are not link-local: those of Alibaba Cloud, Azure, Oracle, AWS over IPv6 (instances and EKS
/// pods) and Google Cloud over IPv6.
const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Where a kubelet listens besides the port that its node names: its API, its read-only API, its health.
const KUBELET_PORTS: [u16; 3] = [10250, 10255, 10248];

/// An address that was checked and may be dialled, in the scheme that it was checked for. Only [`AddressPolicy`] makes
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DialableAddr(SocketAddr);

impl Deref for DialableAddr {
    type Target = SocketAddr;

    fn deref(&self) -> &SocketAddr {
        &self.0
    }
}

/// Why an address is not dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("it is a loopback address")]
    Loopback,
    #[error("it is unspecified")]
    Unspecified,
    #[error("it is a multicast address")]
    Multicast,
    #[error("it is link-local")]
    LinkLocal,
    #[error("it is a broadcast address")]
    Broadcast,
    #[error("it is a cloud's metadata service")]
    Metadata,
    #[error("the administrator denied this network")]
    Network,
    #[error("it is the API server itself")]
    ApiServer,
    #[error("it is a kubelet, which is asked by nodes/NAME/proxy alone")]
    Kubelet,
    #[error("it has no address yet")]
    NoAddress,
    #[error("another pod has it now")]
    AnotherPods,
    #[error("a pod has it")]
    Pods,
}

/// The rules for addresses.
#[derive(Debug, Clone)]
pub struct AddressPolicy {
    denied: Vec<IpNet>,
    node_ports: Vec<RangeInclusive<u16>>,
    loopback: Loopback,
    cluster: Cluster,
}

impl AddressPolicy {
    pub fn new(config: &TargetConfig, cluster: Cluster) -> Self {
        Self {
            denied: config.denied_networks.clone(),
            node_ports: config.node_ports.clone(),
            loopback: config.loopback,
            cluster,
        }
    }

    /// Lets an address pass that is to be spoken to in a scheme.
    ///
    /// # Errors
    /// It is never dialled, or not in this scheme.
    pub fn check(&self, address: SocketAddr, scheme: Scheme) -> Result<DialableAddr, Denied> {
        // Judged as what packets arrive at; what is dialled below stays as it was written.
        let ip = reached(address.ip());
        // First what no flag can allow.
        if let Some(denied) = self.never(ip) {
            return Err(denied);
        }
        if self.denied.iter().any(|net| net.contains(&ip)) {
            return Err(Denied::Network);
        }
        // With the port: other things may live at the address of an API server, such as a node of its own.
        if self.is_api_server(SocketAddr::new(ip, address.port())) {
            return Err(Denied::ApiServer);
        }
        // A kubelet checks a token that this server sends to it, so it is reached only in the scheme that is guarded
        // for that.
        if scheme != Scheme::Kubelet && self.is_kubelet(ip, address.port()) {
            return Err(Denied::Kubelet);
        }
        Ok(DialableAddr(address))
    }

    /// Whether the administrator lets nodes be asked at this port, the kubelet's aside.
    pub(super) fn is_node_port(&self, port: u16) -> bool {
        self.node_ports.iter().any(|ports| ports.contains(&port))
    }

    fn is_kubelet(&self, ip: IpAddr, port: u16) -> bool {
        let is_said = self.cluster.is_kubelet_port(ip, port);
        // An address that is a node's counts with the usual ports too: the node's object may not name them all.
        is_said.is_some_and(|is_said| is_said || KUBELET_PORTS.contains(&port))
    }

    fn never(&self, ip: IpAddr) -> Option<Denied> {
        let is_link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        match ip {
            // Loopback is let through in tests alone: no flag sets it.
            ip if ip.is_loopback() && self.loopback == Loopback::Refused => Some(Denied::Loopback),
            ip if ip.is_unspecified() => Some(Denied::Unspecified),
            ip if ip.is_multicast() => Some(Denied::Multicast),
            _ if is_link_local => Some(Denied::LinkLocal),
            // All of 0.0.0.0/8 is this host to Linux (RFC 1122 section 3.2.1.3).
            IpAddr::V4(ip) if ip.is_broadcast() || ip.octets()[0] == 0 => Some(Denied::Broadcast),
            ip if METADATA.contains(&ip) => Some(Denied::Metadata),
            _ => None,
        }
    }

    /// The API server is known as everybody knows it: by the Service "kubernetes" and its endpoints.
    fn is_api_server(&self, address: SocketAddr) -> bool {
        let (namespace, name) = ("default", "kubernetes");
        let endpoint = self.cluster.slices(namespace, name).is_some_and(|slices| {
            // The port has to be one of that very slice, as its addresses go with its ports.
            slices.iter().any(|slice| {
                slice.ports.iter().any(|port| port.number == address.port())
                    && slice
                        .endpoints
                        .iter()
                        .any(|endpoint| endpoint.address.to_canonical() == address.ip())
            })
        });
        endpoint
            || self
                .cluster
                .service(namespace, name)
                .is_some_and(|service| {
                    service.cluster_ips.contains(&address.ip())
                        && service
                            .ports
                            .iter()
                            .any(|port| port.number == address.port())
                })
    }
}

/// The address that packets arrive at in the end: an IPv4 address may be mapped into IPv6 (RFC 4291 section 2.5.5) or
/// be behind a NAT64 (RFC 6052).
fn reached(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip.to_canonical() else {
        return ip.to_canonical();
    };
    let [.., high, low] = v6.segments();
    let (prefix, [a, b]) = (&v6.segments()[..6], [high.to_be_bytes(), low.to_be_bytes()]);
    let is_nat64 = *prefix == [0x64, 0xff9b, 0, 0, 0, 0];
    // `::1` and `::` are what they are, everything else below is an IPv4-compatible address.
    let is_compatible = *prefix == [0; 6] && high != 0;
    if is_nat64 || is_compatible {
        return IpAddr::V4(Ipv4Addr::new(a[0], a[1], b[0], b[1]));
    }
    IpAddr::V6(v6)
}

#[cfg(test)]
impl DialableAddr {
    /// One for tests of later stages, which is in no other build.
    pub(crate) fn for_tests(address: impl Into<SocketAddr>) -> Self {
        Self(address.into())
    }
}

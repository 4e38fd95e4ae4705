//! The one judge of addresses: what this server never dials, whoever may ask for it.
//!
//! Objects are written by many; an address in one is no reason to connect to it. Never dialled are loopback, unspecified,
//! link-local (cloud metadata among them), multicast, broadcast, the metadata addresses outside of link-local, the API
//! server itself, and what the administrator denied; an IPv4 address in IPv6 clothes is judged as what it is.
//!
//! CVE-2022-3294, CVE-2021-25737, CVE-2020-8555: each was an address that nobody had judged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use crate::cluster::Cluster;
use crate::config::{Loopback, TargetConfig};

/// Metadata services that are not link-local: Alibaba Cloud's, and AWS' over IPv6.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Judges addresses.
#[derive(Debug, Clone)]
pub struct Permitted {
    denied: Vec<IpNet>,
    loopback: Loopback,
    cluster: Cluster,
}

impl Permitted {
    pub fn new(config: &TargetConfig, cluster: Cluster) -> Self {
        Self {
            denied: config.denied_networks.clone(),
            loopback: config.loopback,
            cluster,
        }
    }

    /// Lets an address pass.
    ///
    /// # Errors
    /// It is never dialled; the words say what it is.
    pub fn judge(&self, address: SocketAddr) -> Result<(), &'static str> {
        let ip = address.ip().to_canonical();
        if let Some(why) = self.never(ip) {
            return Err(why);
        }
        if self.denied.iter().any(|net| net.contains(&ip)) {
            return Err("the administrator denied this network");
        }
        if self.is_api_server(SocketAddr::new(ip, address.port())) {
            return Err("it is the API server itself");
        }
        Ok(())
    }

    fn never(&self, ip: IpAddr) -> Option<&'static str> {
        let is_link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        match ip {
            ip if ip.is_loopback() && self.loopback == Loopback::Refused => {
                Some("it is a loopback address")
            }
            ip if ip.is_unspecified() => Some("it is unspecified"),
            ip if ip.is_multicast() => Some("it is a multicast address"),
            _ if is_link_local => Some("it is link-local"),
            IpAddr::V4(ip) if ip.is_broadcast() || ip.octets()[0] == 0 => {
                Some("it is a broadcast address")
            }
            ip if METADATA.contains(&ip) => Some("it is a cloud's metadata service"),
            _ => None,
        }
    }

    /// The API server is known as everybody knows it: by the Service "kubernetes" and its endpoints.
    fn is_api_server(&self, address: SocketAddr) -> bool {
        let (namespace, name) = ("default", "kubernetes");
        let endpoint = self.cluster.slices(namespace, name).is_some_and(|slices| {
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

//! The names by which a response may call its own backend: the `Host` that it was sent, and its address.
//!
//! Apps know their name better than their port: they leave it away, as nginx's `$host` does, or say the one that they
//! listen on.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use http::uri::Authority;

/// What nearly all clusters put behind the names of Services; nothing in the API says which others do.
const CLUSTER_DOMAIN: &str = ".cluster.local";

/// How a backend is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackendScheme {
    Http,
    Https,
}

/// Who a backend is in the URLs that it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackendNames {
    pub scheme: BackendScheme,
    /// The `Host` of the requests that it gets.
    pub host: HeaderValue,
    pub address: SocketAddr,
}

impl BackendNames {
    /// Whether an authority is this backend's own. `default_port` is the one of the URL's scheme, if it has one.
    pub(super) fn include(&self, authority: &str, default_port: Option<u16>) -> bool {
        let Ok(named) = authority.parse::<Authority>() else {
            return false;
        };
        // A name before the host is a login, and no backend writes one for itself.
        if authority.contains('@') {
            return false;
        }
        let default_port = default_port.unwrap_or(self.default_port());
        let Some(port) = port_of(&named, default_port) else {
            return false;
        };
        let host = self.host.to_str().ok();
        let host = host.and_then(|host| host.parse::<Authority>().ok());
        let by_host = host.is_some_and(|own| {
            let own_port = own.port_u16().unwrap_or(self.default_port());
            // Apps often leave their port away or name the one that they listen on, so all three count as their own.
            let ports = [default_port, own_port, self.address.port()];
            is_name_of(named.host(), own.host()) && ports.contains(&port)
        });
        let address = named.host().trim_matches(['[', ']']).parse::<IpAddr>();
        // By address only with its port: on the same address other things may listen.
        by_host || (address == Ok(self.address.ip()) && port == self.address.port())
    }

    /// The authorities by which a page may name this backend, each with its port.
    pub(crate) fn authorities(&self) -> [String; 2] {
        let host = self.host.to_str().unwrap_or_default();
        let named: Option<Authority> = host.parse().ok();
        let has_port = named.is_some_and(|named| named.port().is_some());
        let host = match has_port {
            true => host.to_owned(),
            false => format!("{host}:{}", self.default_port()),
        };
        [host, self.address.to_string()]
    }

    fn default_port(&self) -> u16 {
        match self.scheme {
            BackendScheme::Http => 80,
            BackendScheme::Https => 443,
        }
    }
}

/// Whether a host is the backend's, whose Service may be named with the cluster's domain.
fn is_name_of(host: &str, own: &str) -> bool {
    if host.eq_ignore_ascii_case(own) {
        return true;
    }
    let at = host.len().checked_sub(CLUSTER_DOMAIN.len());
    let parts = at.and_then(|at| host.split_at_checked(at));
    parts.is_some_and(|(name, domain)| {
        domain.eq_ignore_ascii_case(CLUSTER_DOMAIN)
            && name.eq_ignore_ascii_case(own)
            && own.ends_with(".svc")
    })
}

/// The port of an authority; `None`: what stands there is none, so the URL leads nowhere.
fn port_of(named: &Authority, default_port: u16) -> Option<u16> {
    let port = named.as_str().strip_prefix(named.host())?;
    match port.strip_prefix(':').unwrap_or(port) {
        "" => Some(default_port),
        port if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok(),
        _ => None,
    }
}

//! Where a request leads, by its Host. In: the Host. Out: a [`HostRoute`], or [`UnknownHost`] for a name below
//! `localhost` that is no target's.
//!
//! | Host, the port aside | leads to |
//! |---|---|
//! | `[[SCHEME-]PORT.]SERVICE.NAMESPACE.svc.localhost` | a Service |
//! | `[[SCHEME-]PORT.]POD.NAMESPACE.pod.localhost` | a pod |
//! | `[[SCHEME-]PORT.]NODE.node.localhost` | a node, whose name may have dots, or be an address |
//! | anything else | the API, if kubectl's rules accept the name |
//!
//! `SCHEME-` is `https-` or `http-`; `https-` alone leaves the port to the target. It is also what tells a name that
//! begins with a number from a port: `http-.1.web.demo.pod.localhost` is the pod `1.web`. Browsers resolve every name
//! below `localhost` to loopback (<https://datatracker.ietf.org/doc/html/rfc6761#section-6.3>) and take each for an
//! origin of its own.

use std::fmt;
use std::net::Ipv4Addr;

use crate::local::config::{TargetKind, TargetScheme};
use crate::protocol::host::without_port;

/// The longest label of a DNS name, and the longest name (RFC 1035 section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;
const MAX_NAME_BYTES: usize = 253;

/// Where a Host leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) enum HostRoute {
    Api,
    Target(Target),
}

/// A Service, pod or node at an origin of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::local) struct Target {
    pub(in crate::local) kind: TargetKind,
    /// Empty for nodes.
    pub(in crate::local) namespace: String,
    pub(in crate::local) name: String,
    /// A number or a name; without one the target's only port.
    pub(in crate::local) port: Option<String>,
    pub(in crate::local) scheme: Option<TargetScheme>,
}

/// A name below `localhost` that can't be a target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a target's name is [PORT.]SERVICE.NAMESPACE.svc.localhost, [PORT.]POD.NAMESPACE.pod.localhost or [PORT.]NODE.node.localhost"
)]
pub(in crate::local) struct UnknownHost;

impl HostRoute {
    /// Reads a Host, with or without a port.
    pub(in crate::local) fn of(host: &str) -> Result<Self, UnknownHost> {
        let name = without_port(host).to_ascii_lowercase();
        // A name with a dot at its end is the same name, fully qualified, and browsers send it so.
        let name = name.trim_end_matches('.');
        // Only below `localhost`, as any other name is a rule's to accept, however long.
        if name.len() > MAX_NAME_BYTES && name.ends_with(".localhost") {
            return Err(UnknownHost);
        }
        let Some(inside) = name.strip_suffix(".localhost") else {
            return Ok(Self::Api);
        };
        let target = if let Some(path) = inside.strip_suffix(".svc") {
            namespaced(TargetKind::Service, path)
        } else if let Some(path) = inside.strip_suffix(".pod") {
            namespaced(TargetKind::Pod, path)
        } else if let Some(path) = inside.strip_suffix(".node") {
            node(path)
        } else {
            None
        };
        target.map(Self::Target).ok_or(UnknownHost)
    }
}

impl Target {
    /// The name segment of the API's path: `[SCHEME:]NAME[:PORT]`.
    pub(in crate::local) fn segment(&self) -> String {
        let port = self.port.as_deref().unwrap_or_default();
        match (self.scheme, &self.port) {
            (Some(scheme), _) => format!("{scheme}:{}:{port}", self.name),
            (None, Some(port)) => format!("{}:{port}", self.name),
            (None, None) => self.name.clone(),
        }
    }

    /// The path of its proxy in an API group, without what is inside it: `…/services/grafana/proxy`.
    pub(in crate::local) fn proxy_path(&self, group: &str) -> String {
        let segment = self.segment();
        let namespace = &self.namespace;
        match self.kind {
            TargetKind::Service => {
                format!("{group}/namespaces/{namespace}/services/{segment}/proxy")
            }
            TargetKind::Pod => format!("{group}/namespaces/{namespace}/pods/{segment}/proxy"),
            TargetKind::Node => format!("{group}/nodes/{segment}/proxy"),
        }
    }

    /// The host name that it is served at, without a port.
    pub(in crate::local) fn host(&self) -> String {
        let mut host = String::new();
        match (self.scheme, &self.port) {
            (Some(scheme), Some(port)) => host = format!("{scheme}-{port}."),
            (Some(scheme), None) => host = format!("{scheme}-."),
            (None, Some(port)) => host = format!("{port}."),
            // Without it, the name read back would lose its first label to a port.
            (None, None) if begins_like_a_port(self.kind, &self.name) => {
                host = format!("{}-.", usual_scheme(self.kind));
            }
            (None, None) => {}
        }
        host.push_str(&self.name);
        if self.kind != TargetKind::Node {
            host.push('.');
            host.push_str(&self.namespace);
        }
        host.push_str(match self.kind {
            TargetKind::Service => ".svc.localhost",
            TargetKind::Pod => ".pod.localhost",
            TargetKind::Node => ".node.localhost",
        });
        host
    }
}

impl fmt::Display for TargetScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

fn namespaced(kind: TargetKind, path: &str) -> Option<Target> {
    let (inside, namespace) = path.rsplit_once('.')?;
    let (port, name) = match kind {
        // A Service's name has no dots.
        TargetKind::Service => match inside.split_once('.') {
            Some((_, name)) if name.contains('.') => return None,
            Some((port, name)) => (Some(port), name),
            None => (None, inside),
        },
        TargetKind::Pod | TargetKind::Node => port_and_name(inside),
    };
    target(kind, namespace, name, port)
}

fn node(path: &str) -> Option<Target> {
    let (port, name) = port_and_name(path);
    target(TargetKind::Node, "", name, port)
}

/// The names of pods and nodes may have dots, and then a port can't be told from them unless it is a number. An address
/// is a name as a whole.
fn port_and_name(path: &str) -> (Option<&str>, &str) {
    match path.split_once('.') {
        Some((port, name)) if is_port(port) && path.parse::<Ipv4Addr>().is_err() => {
            (Some(port), name)
        }
        _ => (None, path),
    }
}

/// Whether a name without a port would be read as one with it.
fn begins_like_a_port(kind: TargetKind, name: &str) -> bool {
    kind != TargetKind::Service && port_and_name(name).0.is_some()
}

/// The scheme of a target for which none is named.
fn usual_scheme(kind: TargetKind) -> TargetScheme {
    match kind {
        TargetKind::Service | TargetKind::Pod => TargetScheme::Http,
        TargetKind::Node => TargetScheme::Https,
    }
}

/// Whether a label can only be a port: a number, or one with a scheme before it.
fn is_port(label: &str) -> bool {
    let (scheme, port) = scheme_and_port(label);
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    is_number || (scheme.is_some() && port.is_empty())
}

fn scheme_and_port(label: &str) -> (Option<TargetScheme>, &str) {
    if let Some(port) = label.strip_prefix("https-") {
        (Some(TargetScheme::Https), port)
    } else if let Some(port) = label.strip_prefix("http-") {
        (Some(TargetScheme::Http), port)
    } else {
        (None, label)
    }
}

fn target(kind: TargetKind, namespace: &str, name: &str, port: Option<&str>) -> Option<Target> {
    let is_label = |text: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=MAX_LABEL_BYTES).contains(&text.len()) && text.bytes().all(is_plain)
    };
    let is_named = name.split('.').all(is_label)
        && port.is_none_or(is_label)
        // A node is in no namespace, and everything else is in one.
        && (namespace.is_empty() == (kind == TargetKind::Node))
        && (namespace.is_empty() || is_label(namespace));
    let (mut scheme, port) = port.map_or((None, ""), scheme_and_port);
    if port.is_empty() && scheme == Some(usual_scheme(kind)) && begins_like_a_port(kind, name) {
        // It is there to say that what follows is no port.
        scheme = None;
    }
    is_named.then(|| Target {
        kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        port: (!port.is_empty()).then(|| port.to_owned()),
        scheme,
    })
}

#[cfg(test)]
mod tests;

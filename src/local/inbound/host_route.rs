//! Where a request leads, by its Host. In: the Host. Out: a [`HostRoute`], or [`UnknownHost`] for a name below `localhost` that is
//! no target's.
//!
//! | Host, the port aside | leads to |
//! |---|---|
//! | `[[SCHEME-]PORT.]SERVICE.NAMESPACE.svc.localhost` | a Service |
//! | `[[SCHEME-]PORT.]POD.NAMESPACE.pod.localhost` | a pod |
//! | `[[SCHEME-]PORT.]NODE.node.localhost` | a node, whose name may have dots, or be an address |
//! | anything else | the API, if kubectl's rules accept the name |
//!
//! `SCHEME-` is `https-` or `http-`; `https-` alone leaves the port to the target. It is also what tells a name that begins
//! with a number from a port: `http-.1.web.demo.pod.localhost` is the pod `1.web`. Browsers resolve every name below
//! `localhost` to loopback (<https://datatracker.ietf.org/doc/html/rfc6761#section-6.3>) and take each for an origin of its own.

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
        let name = name.trim_end_matches('.');
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

/// The names of pods and nodes may have dots, and then a port can't be told from them unless it is a number. An address is a
/// name as a whole.
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
mod tests {
    use super::*;
    use TargetKind::{Node, Pod, Service};
    use TargetScheme::{Http, Https};

    fn place(
        kind: TargetKind,
        namespace: &str,
        name: &str,
        port: Option<&str>,
        scheme: Option<TargetScheme>,
    ) -> Result<HostRoute, UnknownHost> {
        Ok(HostRoute::Target(Target {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            port: port.map(str::to_owned),
            scheme,
        }))
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn names_below_localhost_are_targets() {
        for (host, expected) in [
            (
                "grafana.monitoring.svc.localhost:8001",
                place(Service, "monitoring", "grafana", None, None),
            ),
            (
                "Grafana.Monitoring.SVC.localhost.",
                place(Service, "monitoring", "grafana", None, None),
            ),
            (
                "3000.grafana.monitoring.svc.localhost",
                place(Service, "monitoring", "grafana", Some("3000"), None),
            ),
            (
                "web.grafana.monitoring.svc.localhost",
                place(Service, "monitoring", "grafana", Some("web"), None),
            ),
            (
                "https-5556.dex.auth.svc.localhost",
                place(Service, "auth", "dex", Some("5556"), Some(Https)),
            ),
            (
                "https-.dex.auth.svc.localhost",
                place(Service, "auth", "dex", None, Some(Https)),
            ),
            (
                "http-web.dex.auth.svc.localhost",
                place(Service, "auth", "dex", Some("web"), Some(Http)),
            ),
            (
                "web-0.demo.pod.localhost:1",
                place(Pod, "demo", "web-0", None, None),
            ),
            (
                "8080.web-0.demo.pod.localhost",
                place(Pod, "demo", "web-0", Some("8080"), None),
            ),
            (
                "web.v1.demo.pod.localhost",
                place(Pod, "demo", "web.v1", None, None),
            ),
            (
                "node-1.node.localhost",
                place(Node, "", "node-1", None, None),
            ),
            (
                "10250.ip-1.eu.example.node.localhost",
                place(Node, "", "ip-1.eu.example", Some("10250"), None),
            ),
            (
                "ip-1.eu.example.node.localhost",
                place(Node, "", "ip-1.eu.example", None, None),
            ),
            (
                "10.79.0.2.node.localhost",
                place(Node, "", "10.79.0.2", None, None),
            ),
            (
                "10250.10.79.0.2.node.localhost",
                place(Node, "", "10.79.0.2", Some("10250"), None),
            ),
            (
                "https-.10.79.0.2.node.localhost",
                place(Node, "", "10.79.0.2", None, Some(Https)),
            ),
            (
                "10.79.0.256.node.localhost",
                place(Node, "", "79.0.256", Some("10"), None),
            ),
            (
                "https-.001.rack.example.node.localhost",
                place(Node, "", "001.rack.example", None, None),
            ),
            (
                "etcd-10.79.0.2.kube-system.pod.localhost",
                place(Pod, "kube-system", "etcd-10.79.0.2", None, None),
            ),
            (
                "2379.etcd-10.79.0.2.kube-system.pod.localhost",
                place(Pod, "kube-system", "etcd-10.79.0.2", Some("2379"), None),
            ),
            (
                "10.79.0.2.demo.pod.localhost",
                place(Pod, "demo", "10.79.0.2", None, None),
            ),
            (
                "1.web.demo.pod.localhost",
                place(Pod, "demo", "web", Some("1"), None),
            ),
            (
                "http-.1.web.demo.pod.localhost",
                place(Pod, "demo", "1.web", None, None),
            ),
            (
                "https-.1.web.demo.pod.localhost",
                place(Pod, "demo", "1.web", None, Some(Https)),
            ),
            (
                "svc.svc.svc.localhost",
                place(Service, "svc", "svc", None, None),
            ),
        ] {
            assert_eq!(HostRoute::of(host), expected, "{host}");
            if let Ok(HostRoute::Target(target)) = expected {
                assert_eq!(
                    HostRoute::of(&target.host()),
                    Ok(HostRoute::Target(target)),
                    "{host}"
                );
            }
        }
    }

    #[test]
    fn all_other_names_are_the_apis_or_nobodys() {
        for host in [
            "localhost",
            "localhost:8001",
            "127.0.0.1:8001",
            "[::1]:8001",
            "[::1]",
            "example.com",
            "",
            "evil.example:80",
            "svc.localhost.evil.example",
        ] {
            assert_eq!(HostRoute::of(host), Ok(HostRoute::Api), "{host}");
        }
        for host in [
            "x.localhost",
            "grafana.svc.localhost",
            "svc.localhost",
            "a.b.c.d.svc.localhost",
            "..svc.localhost",
            "a..svc.localhost",
            ".node.localhost",
            "a/b.c.svc.localhost",
            "a%2fb.c.svc.localhost",
            "a:b.c.svc.localhost",
            "x.pod.localhost",
            ".pod.localhost",
            "pod.localhost",
            "..pod.localhost",
            "8080..pod.localhost",
            "https-.pod.localhost",
            ".x.svc.localhost",
            ".a.b.svc.localhost",
            ".a.b.pod.localhost",
            "node.localhost",
        ] {
            assert_eq!(HostRoute::of(host), Err(UnknownHost), "{host}");
        }
    }

    #[test]
    fn names_are_as_long_as_dns_lets_them_be() {
        let label = "a".repeat(MAX_LABEL_BYTES);
        let service = format!("{label}.{label}.svc.localhost");
        assert_eq!(
            HostRoute::of(&service),
            place(Service, &label, &label, None, None)
        );
        assert_eq!(HostRoute::of(&format!("a{service}")), Err(UnknownHost));
        let node = |name: &str| HostRoute::of(&format!("{name}.node.localhost"));
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(46));
        assert_eq!(node(&longest), place(Node, "", &longest, None, None));
        assert_eq!(node(&format!("{longest}b")), Err(UnknownHost));
    }

    #[test]
    fn the_segment_is_that_of_the_api() {
        for (host, segment) in [
            ("grafana.m.svc.localhost", "grafana"),
            ("web.grafana.m.svc.localhost", "grafana:web"),
            ("https-5556.dex.m.svc.localhost", "https:dex:5556"),
            ("https-.dex.m.svc.localhost", "https:dex:"),
        ] {
            let Ok(HostRoute::Target(target)) = HostRoute::of(host) else {
                panic!("{host}")
            };
            assert_eq!(target.segment(), segment);
        }
    }
}

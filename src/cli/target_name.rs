//! How `--open` and `--forward` name a target: `svc/grafana`, `pod/web-0:8080`, `svc/dex:https:5556`,
//! `9090:svc/prometheus`.
//!
//! No Service has a dot in its name, so `svc/prometheus.monitoring` is one of a namespace, as in the cluster's DNS.
//!
//! The words before the slash are kubectl's short and long names of the resources. Pure; every refusal is one sentence.

use crate::local::config::{PortForward, TargetKind, TargetName, TargetScheme};

/// Reads `KIND/NAME[:[SCHEME:]PORT]`.
pub(super) fn target(text: &str) -> Result<TargetName, String> {
    let refused = || {
        format!("{text:?} is no target such as svc/grafana, pod/web-0:8080 or svc/dex:https:5556")
    };
    let (kind, rest) = text.split_once('/').ok_or_else(refused)?;
    let kind = match kind {
        "svc" | "service" | "services" => TargetKind::Service,
        // kubectl's names, as people type what they know from there.
        "po" | "pod" | "pods" => TargetKind::Pod,
        "no" | "node" | "nodes" => TargetKind::Node,
        _ => return Err(refused()),
    };
    let mut parts = rest.split(':');
    let name = parts.next().unwrap_or_default();
    let (scheme, port) = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => (None, None),
        (Some("http"), port, None) => (Some(TargetScheme::Http), port),
        (Some("https"), port, None) => (Some(TargetScheme::Https), port),
        (port, None, None) => (None, port),
        _ => return Err(refused()),
    };
    // What is in a name goes into a host name, so nothing in it may end one.
    let is_label = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
    };
    if !is_label(name) || port.is_some_and(|port| !is_label(port)) {
        return Err(refused());
    }
    let (name, namespace) = match (kind, name.split_once('.')) {
        (TargetKind::Service, Some((name, namespace)))
            if !name.is_empty() && !namespace.is_empty() && !namespace.contains('.') =>
        {
            (name, Some(namespace))
        }
        (TargetKind::Service, Some(_)) => return Err(refused()),
        _ => (name, None),
    };
    Ok(TargetName {
        kind,
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        port: port.map(str::to_owned),
        scheme,
    })
}

/// Reads `PORT:TARGET`.
pub(super) fn forward(text: &str) -> Result<PortForward, String> {
    let refused = || format!("{text:?} is no PORT:TARGET such as 9090:svc/prometheus");
    let (port, rest) = text.split_once(':').ok_or_else(refused)?;
    let port = port.parse().map_err(|_| refused())?;
    let target = target(rest)?;
    Ok(PortForward { port, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_kubectl_names_them() {
        use TargetKind::{Node, Pod, Service};
        use TargetScheme::{Http, Https};
        for (text, kind, name, scheme, port) in [
            ("svc/grafana", Service, "grafana", None, None),
            (
                "services/grafana:web",
                Service,
                "grafana",
                None,
                Some("web"),
            ),
            ("pod/web-0:8080", Pod, "web-0", None, Some("8080")),
            (
                "svc/dex:https:5556",
                Service,
                "dex",
                Some(Https),
                Some("5556"),
            ),
            ("svc/dex:https", Service, "dex", Some(Https), None),
            ("svc/dex:http:", Service, "", None, None),
            ("no/node.example", Node, "node.example", None, None),
            ("svc/a:http:web", Service, "a", Some(Http), Some("web")),
        ] {
            let expected = TargetName {
                kind,
                namespace: None,
                name: name.to_owned(),
                port: port.map(str::to_owned),
                scheme,
            };
            let read = target(text);
            if name.is_empty() {
                assert!(read.is_err(), "{text}");
            } else {
                assert_eq!(read, Ok(expected), "{text}");
            }
        }
    }

    #[test]
    fn a_service_may_be_named_with_its_namespace() {
        let named = target("svc/prometheus.monitoring:web").unwrap();
        assert_eq!(named.name, "prometheus");
        assert_eq!(named.namespace.as_deref(), Some("monitoring"));
        assert_eq!(named.port.as_deref(), Some("web"));
        // Names of pods and nodes have dots.
        for text in ["pod/web.v1", "node/ip-1.example"] {
            let named = target(text).unwrap();
            assert_eq!(named.namespace, None);
            assert!(text.ends_with(&named.name), "{text}");
        }
        for text in ["svc/a.b.c", "svc/.b", "svc/a.", "svc/."] {
            assert!(target(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_names_no_target_is_refused_in_a_sentence() {
        for text in [
            "",
            "grafana",
            "svc/",
            "deploy/x",
            "svc/a:b:c",
            "svc/a:",
            "svc/a/b",
            "svc/a:https:1:2",
        ] {
            assert!(
                target(text).is_err_and(|sentence| sentence.contains("svc/grafana")),
                "{text}"
            );
        }
        assert!(forward("svc/prometheus").is_err());
        assert!(forward("70000:svc/prometheus").is_err());
        assert_eq!(forward("0:svc/prometheus").unwrap().port, 0);
    }
}

//! Names of hosts: what is a target's origin, and back.
//!
//! An input is the value of `Host`. A name is a target exactly where the table in `host_route/mod.rs` has it, by a
//! reader that takes it apart label by label; the target's own host leads to the same target; and its path names the
//! same for the server.

use http::Method;

use super::*;
pub(crate) use crate::local::api_server::tests::fuzz::kubeconfigs;
use crate::local::config::TargetKind;
use crate::local::config::TargetScheme;
pub(crate) use crate::local::targets::fuzz::own_origins;
use crate::serve::api::RequestInfo;
use crate::serve::config::ApiGroup;

type Parts = (
    TargetKind,
    Option<TargetScheme>,
    Option<String>,
    String,
    String,
);

pub(crate) fn hosts(input: &[u8]) {
    let Ok(host) = std::str::from_utf8(input) else {
        return;
    };
    let read = HostRoute::of(host);
    let target = match &read {
        Ok(HostRoute::Target(target)) => target,
        Ok(HostRoute::Api) | Err(_) => {
            assert_eq!(by_labels(host), None, "{host:?} is a target's");
            return;
        }
    };
    let parts = (
        target.kind,
        target.scheme,
        target.port.clone(),
        target.name.clone(),
        target.namespace.clone(),
    );
    assert_eq!(by_labels(host), Some(parts), "{host:?}");
    assert_eq!(HostRoute::of(&target.host()), read, "{host:?}");
    assert_eq!(HostRoute::of(&format!("{}:8001", target.host())), read);
    let path = target.proxy_path("/apis/throughway.dev/v1");
    let group = ApiGroup::for_tests();
    // Underscores are in no name of Kubernetes, but in those that people type.
    let asked = RequestInfo::read(&group, &Method::GET, &path.parse().unwrap());
    match asked {
        Ok(asked) => {
            assert_eq!(&*asked.namespace, target.namespace);
            assert_eq!(&*asked.name, target.segment());
            assert_eq!(asked.path_inside(), "");
        }
        Err(_) => assert!(
            path.contains('_')
                || path.contains("-/")
                || path.contains("/-")
                || path.contains("-.")
                || path.contains(".-")
                || path.contains("-:")
                || path.contains(":-"),
            "{path}"
        ),
    }
}

fn by_labels(host: &str) -> Option<Parts> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|one| one.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    let mut labels: Vec<&str> = name.split('.').collect();
    let is_label = |label: &&str| {
        let is_plain = |one: char| one.is_ascii_alphanumeric() || one == '-' || one == '_';
        !label.is_empty() && label.len() <= 63 && label.chars().all(is_plain)
    };
    if name.len() > 253 || !labels.iter().all(is_label) || labels.pop() != Some("localhost") {
        return None;
    }
    let kind = match labels.pop()? {
        "svc" => TargetKind::Service,
        "pod" => TargetKind::Pod,
        "node" => TargetKind::Node,
        _ => return None,
    };
    let namespace = match kind {
        TargetKind::Node => "",
        TargetKind::Service | TargetKind::Pod => labels.pop()?,
    };
    let first = *labels.first()?;
    let (scheme, port) = [
        ("https-", TargetScheme::Https),
        ("http-", TargetScheme::Http),
    ]
    .into_iter()
    .find_map(|(begin, scheme)| Some((Some(scheme), first.strip_prefix(begin)?)))
    .unwrap_or((None, first));
    let is_service = kind == TargetKind::Service;
    let has_port = (is_service && labels.len() > 1) || (!is_service && begins_with_port(&labels));
    let (mut scheme, port) = match has_port {
        true => {
            labels.remove(0);
            (
                scheme,
                Some(port.to_owned()).filter(|port| !port.is_empty()),
            )
        }
        false => (None, None),
    };
    // The usual scheme alone says that what follows is no port.
    if !is_service && port.is_none() && scheme == Some(usual(kind)) && begins_with_port(&labels) {
        scheme = None;
    }
    if kind == TargetKind::Service && labels.len() != 1 {
        return None;
    }
    Some((kind, scheme, port, labels.join("."), namespace.to_owned()))
}

/// Names of pods and nodes may have dots, so that only a number is a port there, and none in an address.
fn begins_with_port(labels: &[&str]) -> bool {
    let port = labels[0];
    let port = port.strip_prefix("https-").or(port.strip_prefix("http-"));
    let port = port.unwrap_or(labels[0]);
    let is_number = port.chars().all(|one| one.is_ascii_digit());
    let is_address = labels.join(".").parse::<std::net::Ipv4Addr>().is_ok();
    labels.len() > 1 && is_number && !is_address
}

fn usual(kind: TargetKind) -> TargetScheme {
    match kind {
        TargetKind::Node => TargetScheme::Https,
        TargetKind::Service | TargetKind::Pod => TargetScheme::Http,
    }
}

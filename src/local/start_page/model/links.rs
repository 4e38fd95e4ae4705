//! Which origin a port of a Service is linked at.
//!
//! Rules may name a target in one spelling only, so every spelling is tried, the shortest first: the Service's name
//! alone where it has one port, the port's number, the port's name.

use super::objects::{ObjectKey, StoredPort, StoredService};
use super::rights::{Right, Rights};
use super::snapshot::Link;
use crate::local::config::{TargetKind, TargetScheme};
use crate::local::inbound::host_route::{HostRoute, Target};
use crate::local::targets::mode::ProxyMode;

/// The link of a port, in the first spelling that the user has a right to.
pub(in crate::local::start_page) fn link(
    key: &ObjectKey,
    service: &StoredService,
    port: &StoredPort,
    mode: &ProxyMode,
    rights: &Rights,
) -> Link {
    if port.transport != "TCP" {
        return Link::OtherTransport(port.transport.clone());
    }
    let mut first = None;
    // In order, so that the shortest name that is allowed is shown, and the shortest of all if none is.
    for target in targets_of(key, service, port, mode) {
        match rights.of(&key.namespace, &target.segment()) {
            Right::Yes => return Link::To(target, Right::Yes),
            right => first = first.or(Some(Link::To(target, right))),
        }
    }
    first.unwrap_or(Link::Nameless)
}

/// The name segments that lead to a Service's ports, as rights are asked for them.
pub(in crate::local::start_page) fn segments(
    key: &ObjectKey,
    service: &StoredService,
    mode: &ProxyMode,
) -> Vec<String> {
    let ports = service.ports.iter().filter(|port| port.transport == "TCP");
    let targets = ports.flat_map(|port| targets_of(key, service, port, mode));
    targets.map(|target| target.segment()).collect()
}

fn targets_of(
    key: &ObjectKey,
    service: &StoredService,
    port: &StoredPort,
    mode: &ProxyMode,
) -> Vec<Target> {
    let scheme = match port.scheme {
        TargetScheme::Https => Some(TargetScheme::Https),
        TargetScheme::Http => None,
    };
    let mut ports = Vec::with_capacity(3);
    // The built-in proxy takes a name without a port for the port without a name.
    let alone = port.name.is_empty() || matches!(mode, ProxyMode::Throughway(_));
    if service.ports.len() == 1 && alone && scheme.is_none() {
        ports.push(None);
    }
    ports.push(Some(port.number.to_string()));
    if !port.name.is_empty() {
        ports.push(Some(port.name.clone()));
    }
    let target = |port| Target {
        kind: TargetKind::Service,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        port,
        scheme,
    };
    let targets = ports.into_iter().map(target);
    targets.filter(leads_back).collect()
}

/// Whether the origin's name leads back to the target. What a cluster calls its objects is not this program's to trust.
fn leads_back(target: &Target) -> bool {
    HostRoute::of(&target.host()).is_ok_and(|route| route == HostRoute::Target(target.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::start_page::model::rights::NamespaceRights;
    use std::collections::BTreeSet;

    fn port(name: &str, number: u16, scheme: TargetScheme) -> StoredPort {
        StoredPort {
            name: name.to_owned(),
            number,
            transport: "TCP".to_owned(),
            scheme,
        }
    }

    fn service(ports: Vec<StoredPort>) -> StoredService {
        StoredService {
            external_name: false,
            ports,
        }
    }

    fn key(name: &str) -> ObjectKey {
        ObjectKey {
            namespace: "demo".to_owned(),
            name: name.to_owned(),
        }
    }

    fn only(names: &[&str]) -> Rights {
        let names: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
        let mut rights = Rights::default();
        let only = NamespaceRights::Only(names);
        rights.namespaces.insert("demo".to_owned(), only);
        rights
    }

    fn hosts(service: &StoredService, mode: &ProxyMode, rights: &Rights) -> Vec<(String, Right)> {
        let link = |port| link(&key("web"), service, port, mode, rights);
        let links = service.ports.iter().map(link);
        links
            .map(|link| match link {
                Link::To(target, right) => (target.host(), right),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_service_with_one_port_is_linked_by_its_name_alone() {
        let named = service(vec![port("http", 80, TargetScheme::Http)]);
        let all = Rights {
            everywhere: true,
            ..Rights::default()
        };
        let yes = |host: &str| vec![(host.to_owned(), Right::Yes)];
        let host = yes("web.demo.svc.localhost");
        assert_eq!(
            hosts(
                &named,
                &ProxyMode::Throughway("throughway.dev".into()),
                &all
            ),
            host
        );
        let built_in = ProxyMode::BuiltIn { limits: vec![] };
        let host = yes("80.web.demo.svc.localhost");
        assert_eq!(hosts(&named, &built_in, &all), host);
        let unnamed = service(vec![port("", 80, TargetScheme::Http)]);
        let host = yes("web.demo.svc.localhost");
        assert_eq!(hosts(&unnamed, &built_in, &all), host);
        let secure = service(vec![port("", 443, TargetScheme::Https)]);
        let host = yes("https-443.web.demo.svc.localhost");
        assert_eq!(
            hosts(
                &secure,
                &ProxyMode::Throughway("throughway.dev".into()),
                &all
            ),
            host
        );
    }

    #[test]
    fn the_spelling_that_rules_name_is_the_one_that_is_linked() {
        let service = service(vec![
            port("http", 80, TargetScheme::Http),
            port("admin", 8443, TargetScheme::Https),
        ]);
        let rights = only(&["web:http", "https:web:8443"]);
        assert_eq!(
            hosts(
                &service,
                &ProxyMode::Throughway("throughway.dev".into()),
                &rights
            ),
            [
                ("http.web.demo.svc.localhost".to_owned(), Right::Yes),
                ("https-8443.web.demo.svc.localhost".to_owned(), Right::Yes),
            ]
        );
        assert_eq!(
            hosts(
                &service,
                &ProxyMode::Throughway("throughway.dev".into()),
                &only(&["web"])
            ),
            [
                ("80.web.demo.svc.localhost".to_owned(), Right::No),
                ("https-8443.web.demo.svc.localhost".to_owned(), Right::No),
            ]
        );
    }

    #[test]
    fn a_name_that_would_lead_elsewhere_is_not_linked() {
        let service = service(vec![port("", 80, TargetScheme::Http)]);
        for name in ["a/b", "x\"><script>", "a.b.c", "evil.example/#", ""] {
            let found = link(
                &key(name),
                &service,
                &service.ports[0],
                &ProxyMode::Throughway("throughway.dev".into()),
                &Rights::default(),
            );
            assert_eq!(found, Link::Nameless, "{name}");
        }
    }
}

//! Hosts of targets, of the API, and of nobody.

use super::*;
use TargetKind::{Node, Pod, Service};
use TargetScheme::{Http, Https};

fn target(
    kind: TargetKind,
    namespace: &str,
    name: &str,
    port: Option<&str>,
    scheme: Option<TargetScheme>,
) -> Target {
    Target {
        kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        port: port.map(str::to_owned),
        scheme,
    }
}

type Expected<'a> = (
    TargetKind,
    &'a str,
    &'a str,
    Option<&'a str>,
    Option<TargetScheme>,
);

/// Each host leads to its target, and the target's own host to the same.
fn assert_targets(table: &[(&str, Expected<'_>)]) {
    for &(host, (kind, namespace, name, port, scheme)) in table {
        let expected = target(kind, namespace, name, port, scheme);
        let own = expected.host();
        let expected = Ok(HostRoute::Target(expected));
        assert_eq!(HostRoute::of(host), expected, "{host}");
        assert_eq!(HostRoute::of(&own), expected, "{host}");
    }
}

#[test]
fn names_below_localhost_are_targets() {
    assert_targets(&[
        (
            "Grafana.Monitoring.SVC.localhost.",
            (Service, "monitoring", "grafana", None, None),
        ),
        (
            "3000.grafana.monitoring.svc.localhost",
            (Service, "monitoring", "grafana", Some("3000"), None),
        ),
        (
            "web.grafana.monitoring.svc.localhost",
            (Service, "monitoring", "grafana", Some("web"), None),
        ),
        (
            "https-5556.dex.auth.svc.localhost",
            (Service, "auth", "dex", Some("5556"), Some(Https)),
        ),
        (
            "https-.dex.auth.svc.localhost",
            (Service, "auth", "dex", None, Some(Https)),
        ),
        (
            "http-web.dex.auth.svc.localhost",
            (Service, "auth", "dex", Some("web"), Some(Http)),
        ),
        (
            "web-0.demo.pod.localhost:1",
            (Pod, "demo", "web-0", None, None),
        ),
        (
            "8080.web-0.demo.pod.localhost",
            (Pod, "demo", "web-0", Some("8080"), None),
        ),
        (
            "web.v1.demo.pod.localhost",
            (Pod, "demo", "web.v1", None, None),
        ),
        ("node-1.node.localhost", (Node, "", "node-1", None, None)),
        (
            "10250.ip-1.eu.example.node.localhost",
            (Node, "", "ip-1.eu.example", Some("10250"), None),
        ),
        (
            "ip-1.eu.example.node.localhost",
            (Node, "", "ip-1.eu.example", None, None),
        ),
    ]);
}

#[test]
fn names_with_dots_and_digits_are_read_as_the_longest_name_that_there_can_be() {
    assert_targets(&[
        (
            "grafana.monitoring.svc.localhost:8001",
            (Service, "monitoring", "grafana", None, None),
        ),
        (
            "10.79.0.2.node.localhost",
            (Node, "", "10.79.0.2", None, None),
        ),
        (
            "10250.10.79.0.2.node.localhost",
            (Node, "", "10.79.0.2", Some("10250"), None),
        ),
        (
            "https-.10.79.0.2.node.localhost",
            (Node, "", "10.79.0.2", None, Some(Https)),
        ),
        (
            "10.79.0.256.node.localhost",
            (Node, "", "79.0.256", Some("10"), None),
        ),
        (
            "https-.001.rack.example.node.localhost",
            (Node, "", "001.rack.example", None, None),
        ),
        (
            "etcd-10.79.0.2.kube-system.pod.localhost",
            (Pod, "kube-system", "etcd-10.79.0.2", None, None),
        ),
        (
            "2379.etcd-10.79.0.2.kube-system.pod.localhost",
            (Pod, "kube-system", "etcd-10.79.0.2", Some("2379"), None),
        ),
        (
            "10.79.0.2.demo.pod.localhost",
            (Pod, "demo", "10.79.0.2", None, None),
        ),
        (
            "1.web.demo.pod.localhost",
            (Pod, "demo", "web", Some("1"), None),
        ),
        (
            "http-.1.web.demo.pod.localhost",
            (Pod, "demo", "1.web", None, None),
        ),
        (
            "https-.1.web.demo.pod.localhost",
            (Pod, "demo", "1.web", None, Some(Https)),
        ),
        ("svc.svc.svc.localhost", (Service, "svc", "svc", None, None)),
    ]);
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
        Ok(HostRoute::Target(target(
            Service, &label, &label, None, None
        )))
    );
    assert_eq!(HostRoute::of(&format!("a{service}")), Err(UnknownHost));
    let node = |name: &str| HostRoute::of(&format!("{name}.node.localhost"));
    let longest = format!("{label}.{label}.{label}.{}", "b".repeat(46));
    let expected = target(Node, "", &longest, None, None);
    assert_eq!(node(&longest), Ok(HostRoute::Target(expected)));
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

//! Where to: every form of name that the built-in proxy knows, every address that is never dialled, every refusal's
//! words.

#![allow(
    clippy::needless_pass_by_value,
    reason = "json!() makes values, and a test reads better without borrows"
)]

mod owners;

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::serve::authentication::{self, Caller, User};
use crate::serve::config::{ApiGroup, Loopback};
use crate::serve::refusal::Refuse;

fn permit(path: &str) -> Permit {
    let group = ApiGroup::for_tests();
    let uri = format!("/apis/throughway.dev/v1{path}").parse().unwrap();
    let asked = RequestInfo::read(&group, &Method::GET, &uri).unwrap();
    let caller = Caller {
        user: Arc::new(User::default()),
        method: authentication::Method::BearerToken,
    };
    Permit::for_tests(caller, asked)
}

fn targets(cluster: Cluster) -> Destinations {
    targets_with(cluster, IsolationDefault::Off)
}

fn targets_with(cluster: Cluster, isolation: IsolationDefault) -> Destinations {
    let config = TargetConfig {
        denied_networks: vec!["192.0.2.0/24".parse().unwrap()],
        node_ports: vec![9100..=9100],
        loopback: Loopback::Refused,
        isolation,
    };
    Destinations::new(&config, cluster)
}

fn service(name: &str, ports: Value) -> Value {
    json!({"kind": "Service", "metadata": {"namespace": "demo", "name": name},
        "spec": {"ports": ports, "selector": {"app": name}}})
}

fn pod(ips: &[&str], ports: Value) -> Value {
    let ips: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip})).collect();
    json!({"kind": "Pod", "metadata": {"namespace": "demo", "name": "web-0"},
        "spec": {"containers": [{"ports": ports}]}, "status": {"podIPs": ips}})
}

fn node(ip: &str) -> Value {
    json!({"kind": "Node", "metadata": {"name": "n1"}, "status": {
        "addresses": [{"type": "InternalIP", "address": ip}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}})
}

async fn resolve(objects: &[Value], path: &str) -> Result<Destination<'static>, DestinationError> {
    // As long as the test, as what is found borrows it.
    let permit = Box::leak(Box::new(permit(path)));
    targets(Cluster::of(objects)).resolve(permit).await
}

async fn refusal(objects: &[Value], path: &str) -> (u16, String) {
    let status = resolve(objects, path).await.expect_err(path).status();
    (status.code.as_u16(), status.message)
}

#[tokio::test]
async fn a_service_port_is_found_by_number_by_name_or_as_the_only_one() {
    let named = service("web", json!([{"name": "http", "port": 80}]));
    let two = service(
        "two",
        json!([{"name": "http", "port": 80}, {"name": "metrics", "port": 9090}]),
    );
    let bare = service("bare", json!([{"port": 80}]));
    let mixed = service(
        "mixed",
        json!([{"name": "other", "port": 81}, {"port": 80}]),
    );
    let objects = [named, two, bare, mixed];
    for (name, port, host) in [
        ("web", "http", "web.demo.svc"),
        ("web:", "http", "web.demo.svc"),
        ("web:80", "http", "web.demo.svc"),
        ("web:080", "http", "web.demo.svc"),
        ("web:http", "http", "web.demo.svc"),
        ("http:web:80", "http", "web.demo.svc"),
        ("https:web:80", "http", "web.demo.svc:80"),
        ("https:web:", "http", "web.demo.svc:80"),
        ("two:9090", "metrics", "two.demo.svc:9090"),
        ("two:metrics", "metrics", "two.demo.svc:9090"),
        ("bare", "", "bare.demo.svc"),
        ("mixed", "", "mixed.demo.svc"),
    ] {
        let target = resolve(
            &objects,
            &format!("/namespaces/demo/services/{name}/proxy/"),
        )
        .await
        .expect(name);
        assert_eq!(target.host, host, "{name}");
        let Backends::Endpoints { port: found, .. } = target.backends else {
            panic!("{name} is no service")
        };
        assert_eq!(&*found, port, "{name}");
        let https = name.starts_with("https:");
        assert_eq!(target.scheme == Scheme::Https, https, "{name}");
    }
}

#[tokio::test]
async fn a_refused_service_says_why() {
    let two = service(
        "two",
        json!([{"name": "http", "port": 80}, {"port": 9090, "name": "metrics"}]),
    );
    let mut external = service("external", json!([{"port": 80}]));
    external["spec"]["type"] = json!("ExternalName");
    let objects = [two, external];
    let at = |name: &str| format!("/namespaces/demo/services/{name}/proxy/");
    assert_eq!(
        refusal(&objects, &at("two")).await,
        (400, r#"service "two" has several ports, name one of them; it has 80 (http), 9090 (metrics)"#.into())
    );
    assert_eq!(
        refusal(&objects, &at("two:81")).await,
        (
            404,
            r#"service "two" has no port "81"; it has 80 (http), 9090 (metrics)"#.into()
        )
    );
    assert_eq!(refusal(&objects, &at("external")).await.0, 503);
    let (code, message) = refusal(&objects, &at("ftp:two:80")).await;
    assert_eq!(
        (
            code,
            message.starts_with("invalid service request \"ftp:two:80\"")
        ),
        (400, true)
    );
}

#[tokio::test]
async fn what_does_not_exist_is_404_and_what_can_not_be_found_out_is_503() {
    let cluster = Cluster::of(&[])
        .without("demo", "none")
        .await
        .without("", "none")
        .await;
    let targets = targets(cluster);
    for (path, message) in [
        (
            "/namespaces/demo/services/none/proxy/",
            r#"services "none" not found"#,
        ),
        (
            "/namespaces/demo/pods/none:80/proxy/",
            r#"pods "none" not found"#,
        ),
        ("/nodes/none/proxy/metrics", r#"nodes "none" not found"#),
    ] {
        let status = targets.resolve(&permit(path)).await.unwrap_err().status();
        assert_eq!(
            (status.code, status.message.as_str()),
            (StatusCode::NOT_FOUND, message)
        );
        assert!(status.subject.is_some());
    }
    let unknown = targets
        .resolve(&permit("/namespaces/demo/pods/some/proxy/"))
        .await
        .unwrap_err();
    assert_eq!(unknown.status().code, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_pod_port_is_found_by_number_by_name_or_as_the_first() {
    let declared = pod(
        &["10.77.0.10", "fd00::10"],
        json!([{"name": "web", "containerPort": 8080}, {"containerPort": 81}]),
    );
    for (name, port) in [
        ("web-0", 8080),
        ("web-0:", 8080),
        ("web-0:9000", 9000),
        ("web-0:web", 8080),
        ("https:web-0:", 8080),
    ] {
        let path = format!("/namespaces/demo/pods/{name}/proxy/");
        let target = resolve(std::slice::from_ref(&declared), &path)
            .await
            .expect(name);
        let Backends::Addresses { addresses, pod } = target.backends else {
            panic!("{name} is no pod")
        };
        let expected: [DialableAddr; 2] = [
            DialableAddr::for_tests(([10, 77, 0, 10], port)),
            DialableAddr::for_tests(SocketAddr::new("fd00::10".parse().unwrap(), port)),
        ];
        assert_eq!((addresses.as_slice(), &*pod), (&expected[..], "demo/web-0"));
    }
    let bare = pod(&["10.77.0.10"], json!([]));
    for (name, host) in [
        ("web-0", "10.77.0.10"),
        ("https:web-0:", "10.77.0.10"),
        ("https:web-0:80", "10.77.0.10:80"),
    ] {
        let path = format!("/namespaces/demo/pods/{name}/proxy/");
        assert_eq!(
            resolve(std::slice::from_ref(&bare), &path)
                .await
                .expect(name)
                .host,
            host
        );
    }
    let (code, message) = refusal(&[declared], "/namespaces/demo/pods/web-0:none/proxy/").await;
    assert_eq!(
        (code, message.as_str()),
        (
            404,
            r#"pod "web-0" has no port "none"; it has web (8080),  (81)"#
        )
    );
}

#[tokio::test]
async fn a_kubelet_is_its_port_whatever_the_scheme_and_other_ports_are_plain() {
    let objects = [node("10.77.0.2")];
    for (name, scheme, port) in [
        ("n1", Scheme::Kubelet, 10250),
        ("n1:", Scheme::Kubelet, 10250),
        ("n1:10250", Scheme::Kubelet, 10250),
        ("http:n1:10250", Scheme::Kubelet, 10250),
        ("https:n1:10250", Scheme::Kubelet, 10250),
        ("n1:9100", Scheme::Http, 9100),
        ("https:n1:9100", Scheme::Https, 9100),
    ] {
        let target = resolve(&objects, &format!("/nodes/{name}/proxy/metrics"))
            .await
            .expect(name);
        assert_eq!(target.scheme, scheme, "{name}");
        let Backends::Addresses { addresses, .. } = target.backends else {
            panic!("{name} is no node")
        };
        assert_eq!(addresses, [DialableAddr::for_tests(([10, 77, 0, 2], port))]);
    }
    assert_eq!(
        refusal(&objects, "/nodes/n1:kubelet/proxy/metrics").await.0,
        404
    );
    for path in [
        "/exec/demo/web/c",
        "//exec",
        "/pods/../exec",
        "/%65xec",
        "",
        "/",
    ] {
        assert_eq!(
            refusal(&objects, &format!("/nodes/n1/proxy{path}")).await.0,
            403,
            "{path}"
        );
    }
    resolve(&objects, "/nodes/n1:9100/proxy/exec")
        .await
        .expect("another port is no kubelet");
}

#[tokio::test]
async fn addresses_that_are_never_dialled_are_refused_on_every_port() {
    for ip in [
        "127.0.0.1",
        "127.1.2.3",
        "::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "100.100.100.200",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "168.63.129.16",
        "192.0.0.192",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "::169.254.169.254",
        "192.0.2.7",
        "::ffff:192.0.2.7",
    ] {
        for path in [
            "/nodes/n1/proxy/metrics",
            "/nodes/n1:10250/proxy/metrics",
            "/nodes/n1:80/proxy/",
        ] {
            let (code, message) = refusal(&[node(ip)], path).await;
            assert_eq!(code, 400, "{ip} {path}");
            assert!(message.contains("address not allowed"), "{message}");
        }
        let (code, _) = refusal(
            &[pod(&[ip], json!([]))],
            "/namespaces/demo/pods/web-0/proxy/",
        )
        .await;
        assert_eq!(code, 400, "{ip}");
        let both = pod(&["10.77.0.10", ip], json!([]));
        assert_eq!(
            refusal(&[both], "/namespaces/demo/pods/web-0/proxy/")
                .await
                .0,
            400,
            "{ip} beside a good one"
        );
    }
    assert_eq!(
        refusal(&[pod(&[], json!([]))], "/namespaces/demo/pods/web-0/proxy/")
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn the_api_server_is_never_a_target_but_its_node_is() {
    let kubernetes = json!({"kind": "Service", "metadata": {"namespace": "default", "name": "kubernetes"},
        "spec": {"ports": [{"name": "https", "port": 443}], "clusterIPs": ["10.96.0.1"]}});
    let slice = json!({"kind": "EndpointSlice", "metadata": {"namespace": "default", "name": "kubernetes",
            "labels": {"kubernetes.io/service-name": "kubernetes"}}, "addressType": "IPv4",
        "ports": [{"name": "https", "port": 6443}], "endpoints": [{"addresses": ["10.77.0.2"]}]});
    let objects = [kubernetes, slice, node("10.77.0.2")];
    assert_eq!(refusal(&objects, "/nodes/n1:6443/proxy/").await.0, 400);
    resolve(&objects, "/nodes/n1/proxy/metrics")
        .await
        .expect("its kubelet has the same address");
    let at_cluster_ip = pod(&["10.96.0.1"], json!([]));
    let objects = [&objects[..], &[at_cluster_ip]].concat();
    assert_eq!(
        refusal(&objects, "/namespaces/demo/pods/https:web-0:443/proxy/")
            .await
            .0,
        400
    );
}

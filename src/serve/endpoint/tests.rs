//! Which one: who counts as an endpoint, in what order they are tried, and what is said when nobody is left.

#![allow(
    clippy::needless_pass_by_value,
    reason = "json!() makes values, and a test reads better without borrows"
)]

use serde_json::{Value, json};

use std::net::SocketAddr;

use super::*;
use crate::serve::client::tests::permit;
use crate::serve::config::{Loopback, TargetConfig};
use crate::serve::request_context::RequestContext;

fn pod(name: &str, ip: &str) -> Value {
    json!({"kind": "Pod", "metadata": {"namespace": "demo", "name": name}, "status": {"podIPs": [{"ip": ip}]}})
}

fn endpoint_of(pod: &str, ip: &str, conditions: Value) -> Value {
    json!({"addresses": [ip], "conditions": conditions, "targetRef": {"kind": "Pod", "namespace": "demo", "name": pod}})
}

fn slice(port: &str, endpoints: Value) -> Value {
    json!({"kind": "EndpointSlice", "metadata": {"namespace": "demo", "name": format!("web-{port}"),
            "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
        "ports": [{"name": port, "port": 8080}], "endpoints": endpoints})
}

struct Setting {
    endpoints: Endpoints,
    target: Destination<'static>,
    outliers: Outliers,
}

fn setting(objects: &[Value]) -> Setting {
    let cluster = Cluster::of(objects);
    let config = TargetConfig {
        denied_networks: Vec::new(),
        node_ports: vec![9100..=9100],
        loopback: Loopback::Refused,
        isolation: crate::serve::config::IsolationDefault::Off,
    };
    let outliers = Outliers::default();
    let policy = AddressPolicy::new(&config, cluster.clone());
    let backends = Backends::Endpoints {
        namespace: "demo".into(),
        service: "web".into(),
        port: "http".into(),
        slices: cluster.slices("demo", "web").unwrap_or_default(),
    };
    // As long as the test, as what is chosen borrows it.
    let permit = Box::leak(Box::new(permit("alice", "/namespaces/demo/services/web")));
    let target = Destination::for_tests(permit, ServiceSettings::unset(), backends);
    Setting {
        endpoints: Endpoints::new(cluster, policy, outliers.clone()),
        target,
        outliers,
    }
}

fn chosen(objects: &[Value]) -> Result<String, String> {
    let s = setting(objects);
    s.endpoints
        .choose_as_known(&s.target)
        .map(|choice| choice.first.pod.to_string())
        .map_err(|refused| refused.to_string())
}

#[tokio::test]
async fn a_ready_pod_is_chosen_at_the_port_of_its_slice() {
    let s = setting(&[
        pod("a", "10.77.0.10"),
        slice("http", json!([endpoint_of("a", "10.77.0.10", json!({}))])),
    ]);
    let choice = s
        .endpoints
        .choose(&RequestContext::for_tests(), &s.target)
        .await
        .unwrap();
    assert_eq!(
        *choice.first.address,
        SocketAddr::from(([10, 77, 0, 10], 8080))
    );
    assert_eq!((&*choice.first.pod, choice.others.len()), ("demo/a", 0));
}

#[tokio::test]
async fn an_address_that_is_not_its_pods_own_is_no_endpoint() {
    let a = pod("a", "10.77.0.10");
    let ready = json!({"ready": true});
    let mut of_others = pod("b", "10.77.0.20");
    of_others["metadata"]["namespace"] = json!("kube-system");
    let mut other_namespace = endpoint_of("b", "10.77.0.20", ready.clone());
    other_namespace["targetRef"]["namespace"] = json!("kube-system");
    let mut no_pod = endpoint_of("a", "10.77.0.10", ready.clone());
    no_pod["targetRef"]["kind"] = json!("Node");
    let mut no_reference = endpoint_of("a", "10.77.0.10", ready.clone());
    no_reference.as_object_mut().unwrap().remove("targetRef");
    let mut ended = pod("ended", "10.77.0.11");
    ended["status"]["phase"] = json!("Succeeded");
    for endpoint in [
        endpoint_of("ended", "10.77.0.11", ready.clone()),
        other_namespace,
        no_pod,
        no_reference,
        endpoint_of("a", "10.77.0.99", ready.clone()),
        endpoint_of("missing", "10.77.0.10", ready),
    ] {
        let slice = slice("http", json!([endpoint]));
        let objects = [a.clone(), ended.clone(), of_others.clone(), slice];
        let refused = chosen(&objects).unwrap_err();
        assert_eq!(
            refused,
            r#"no endpoints available for service "web": of 1 endpoints 1 are ready, 1 are not a pod of this namespace"#
        );
    }
}

/// Their addresses are others' by now.
#[tokio::test]
async fn an_ended_pod_and_the_older_of_two_with_one_address_are_no_endpoints() {
    let started = |name: &str, start: &str| {
        let mut object = pod(name, "10.77.0.10");
        object["status"]["startTime"] = json!(start);
        object
    };
    let (old, new) = (
        started("old", "2026-01-01T00:00:00Z"),
        started("new", "2026-01-01T00:00:09Z"),
    );
    let mut ended = new.clone();
    ended["status"]["phase"] = json!("Failed");
    let of = |name: &str| slice("http", json!([endpoint_of(name, "10.77.0.10", json!({}))]));
    let not_a_pod = "1 are not a pod of this namespace";
    for (objects, expected) in [
        ([&old, &new, &of("old")], None),
        ([&old, &new, &of("new")], Some("demo/new")),
        ([&old, &ended, &of("new")], None),
        ([&old, &ended, &of("old")], Some("demo/old")),
    ] {
        match (chosen(&objects.map(Clone::clone)), expected) {
            (Ok(pod), Some(expected)) => assert_eq!(pod, expected),
            (Err(refused), None) => assert!(refused.contains(not_a_pod), "{refused}"),
            (chosen, expected) => unreachable!("{chosen:?} is not {expected:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_has_confirmed_for_long_is_looked_up_before_it_is_dialled() {
    let s = setting(&[
        pod("a", "10.77.0.10"),
        slice("http", json!([endpoint_of("a", "10.77.0.10", json!({}))])),
    ]);
    s.endpoints
        .choose(&RequestContext::for_tests(), &s.target)
        .await
        .expect("it is known");
    tokio::time::advance(std::time::Duration::from_secs(100)).await;
    // Nobody answers here, so nobody says that the pod still has the address.
    let refused = s
        .endpoints
        .choose(&RequestContext::for_tests(), &s.target)
        .await;
    assert!(matches!(refused, Err(EndpointError::Unconfirmed { .. })));
}

#[tokio::test]
async fn an_address_that_is_never_dialled_is_skipped() {
    for ip in [
        "127.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "224.0.0.1",
    ] {
        let endpoint = endpoint_of("a", ip, json!({"ready": true}));
        let refused = chosen(&[pod("a", ip), slice("http", json!([endpoint]))]).unwrap_err();
        assert!(
            refused.ends_with("1 have an address that is not allowed"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn terminating_pods_serve_only_while_nobody_is_ready() {
    let leaving = json!({"ready": false, "serving": true, "terminating": true});
    let a = endpoint_of("a", "10.77.0.10", leaving);
    let b = endpoint_of("b", "10.77.0.11", json!({"ready": true}));
    let pods = [pod("a", "10.77.0.10"), pod("b", "10.77.0.11")];
    let alone = [&pods[..], &[slice("http", json!([a]))]].concat();
    assert_eq!(chosen(&alone).as_deref(), Ok("demo/a"));
    let both = [&pods[..], &[slice("http", json!([a, b]))]].concat();
    for _ in 0..20 {
        assert_eq!(chosen(&both).as_deref(), Ok("demo/b"));
    }
}

#[tokio::test]
async fn a_refusal_counts_what_there_is() {
    let unready = json!({"ready": false});
    let pods = [pod("a", "10.77.0.10"), pod("b", "10.77.0.11")];
    let waiting = slice("http", json!([endpoint_of("a", "10.77.0.10", unready)]));
    let elsewhere = slice("other", json!([endpoint_of("b", "10.77.0.11", json!({}))]));
    let objects = [&pods[..], &[waiting, elsewhere]].concat();
    assert_eq!(
        chosen(&objects).unwrap_err(),
        r#"no endpoints available for service "web": of 2 endpoints 0 are ready, 1 lack the port"#
    );
    assert!(chosen(&pods).unwrap_err().contains("it has no endpoints"));
}

#[tokio::test]
async fn all_ready_pods_get_their_share_and_a_refusing_one_comes_last() {
    let pods: Vec<Value> = (0..5)
        .map(|i| pod(&format!("p{i}"), &format!("10.77.0.1{i}")))
        .collect();
    let ends: Vec<Value> = (0..5)
        .map(|i| {
            endpoint_of(
                &format!("p{i}"),
                &format!("10.77.0.1{i}"),
                json!({"ready": true}),
            )
        })
        .collect();
    let s = setting(&[&pods[..], &[slice("http", json!(ends))]].concat());
    let mut seen = std::collections::HashSet::new();
    for _ in 0..200 {
        let choice = s
            .endpoints
            .choose(&RequestContext::for_tests(), &s.target)
            .await
            .unwrap();
        assert_eq!(choice.others.len(), 2);
        assert!(!choice.others.contains(&choice.first));
        seen.insert(choice.first.address);
    }
    assert_eq!(seen.len(), 5);
    let refusing = SocketAddr::from(([10, 77, 0, 10], 8080));
    s.outliers.refused(refusing);
    for _ in 0..50 {
        assert_ne!(
            *s.endpoints
                .choose(&RequestContext::for_tests(), &s.target)
                .await
                .unwrap()
                .first
                .address,
            refusing
        );
    }
}

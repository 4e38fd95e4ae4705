//! Addresses that somebody names who does not own them, and kubelets that are named as something else.

use super::found::host_header;
use super::*;
use crate::serve::cluster::Isolation;
use crate::serve::config::IsolationDefault;

fn of_node(name: &str, ports: Value) -> Value {
    let mut object = pod(&["10.77.0.2"], ports);
    object["metadata"]["name"] = json!(name);
    object["spec"]["hostNetwork"] = json!(true);
    object
}

fn started(name: &str, start: &str) -> Value {
    let mut object = pod(&["10.77.0.10"], json!([{"containerPort": 80}]));
    object["metadata"]["name"] = json!(name);
    object["status"]["startTime"] = json!(start);
    object
}

#[tokio::test]
async fn a_kubelet_is_not_reached_by_the_name_of_a_pod_on_its_node() {
    let objects = [
        node("10.77.0.2"),
        of_node("agent", json!([{"containerPort": 9100}])),
    ];
    for port in ["10250", "10255", "10248"] {
        for name in [format!("https:agent:{port}"), format!("agent:{port}")] {
            let (code, message) =
                refusal(&objects, &format!("/namespaces/demo/pods/{name}/proxy/run")).await;
            assert_eq!(code, 400, "{name}");
            assert!(message.contains("it is a kubelet"), "{message}");
        }
    }
    resolve(&objects, "/namespaces/demo/pods/agent:9100/proxy/metrics")
        .await
        .expect("another port of the pod");
}

#[tokio::test]
async fn a_kubelet_at_a_port_of_its_own_is_not_reached_at_the_usual_one_either() {
    let mut odd = node("10.77.0.2");
    odd["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] = json!(9100);
    let objects = [odd, of_node("agent", json!([]))];
    for name in ["https:agent:9100", "agent:10250"] {
        assert_eq!(
            refusal(&objects, &format!("/namespaces/demo/pods/{name}/proxy/"))
                .await
                .0,
            400,
            "{name}"
        );
    }
    assert_eq!(
        resolve(&objects, "/nodes/n1/proxy/metrics")
            .await
            .unwrap()
            .scheme,
        Scheme::Kubelet
    );
    assert_eq!(
        refusal(&objects, "/nodes/https:n1:10250/proxy/run").await.0,
        400,
        "not a port of the node's own"
    );
}

#[tokio::test]
async fn a_node_that_claims_anothers_address_and_lets_it_go_opens_no_kubelet() {
    let mut claiming = node("10.77.0.2");
    claiming["metadata"]["name"] = json!("n2");
    claiming["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] = json!(1);
    let mut let_go = claiming.clone();
    let_go["status"]["addresses"] = json!([]);
    let objects = [
        node("10.77.0.2"),
        claiming,
        let_go,
        of_node("agent", json!([])),
    ];
    let (code, message) = refusal(&objects, "/namespaces/demo/pods/https:agent:10250/proxy/").await;
    assert_eq!(code, 400);
    assert!(message.contains("it is a kubelet"), "{message}");
}

#[tokio::test]
async fn a_pod_of_its_nodes_network_is_not_reached_where_a_pod_of_its_own_has_the_address() {
    let mut claiming = pod(&["10.77.0.2"], json!([]));
    claiming["metadata"]["name"] = json!("claiming");
    let objects = [of_node("agent", json!([])), claiming];
    let (code, message) = refusal(&objects, "/namespaces/demo/pods/agent:9100/proxy/").await;
    assert_eq!(code, 400);
    assert!(message.contains("another pod has it now"), "{message}");
    resolve(&objects[..1], "/namespaces/demo/pods/agent:9100/proxy/")
        .await
        .expect("nobody else claims it");
}

/// No name that is read from a path is one of these: the stage before lets none through.
#[test]
fn a_name_that_is_no_header_text_is_refused_and_no_panic() {
    let refused = host_header("a\u{1}".to_owned(), 80, Scheme::Http);
    assert!(matches!(refused, Err(DestinationError::HostName)));
}

#[tokio::test]
async fn other_ports_of_nodes_are_the_administrators_to_open() {
    let (code, message) = refusal(
        &[node("10.77.0.2")],
        "/nodes/n1:2375/proxy/containers/x/attach/ws",
    )
    .await;
    assert_eq!(code, 403);
    assert!(message.contains("--node-ports"), "{message}");
}

#[tokio::test]
async fn an_ended_pod_is_not_reached_at_the_address_that_another_has_now() {
    let mut done = started("done", "2026-01-01T00:00:00Z");
    done["status"]["phase"] = json!("Succeeded");
    let objects = [done, started("other", "2026-01-01T00:00:09Z")];
    let (code, message) = refusal(&objects, "/namespaces/demo/pods/done:80/proxy/").await;
    assert_eq!(code, 503);
    assert!(message.contains("has ended"), "{message}");
    resolve(&objects, "/namespaces/demo/pods/other:80/proxy/")
        .await
        .expect("it is alive");
}

#[tokio::test]
async fn of_two_live_pods_with_one_address_only_the_newer_is_reached() {
    let objects = [
        started("old", "2026-01-01T00:00:00Z"),
        started("new", "2026-01-01T00:00:09Z"),
    ];
    let (code, message) = refusal(&objects, "/namespaces/demo/pods/old:80/proxy/").await;
    assert_eq!(
        (code, message.contains("another pod has it now")),
        (400, true),
        "{message}"
    );
    resolve(&objects, "/namespaces/demo/pods/new:80/proxy/")
        .await
        .expect("it has the address");
    let claiming = node("10.77.0.10");
    let objects = [&objects[..], &[claiming]].concat();
    assert_eq!(
        refusal(&objects, "/nodes/n1/proxy/metrics").await.0,
        400,
        "a node with a pod's address"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_reached_before_all_of_the_cluster_is_known_or_after_it_is_old() {
    let cluster = Cluster::of(&[pod(&["10.77.0.10"], json!([]))]);
    let targets = targets(cluster);
    let permit = permit("/namespaces/demo/pods/web-0/proxy/");
    targets.resolve(&permit).await.expect("all is known");
    tokio::time::advance(std::time::Duration::from_secs(300)).await;
    let refused = targets.resolve(&permit).await.expect_err("it is old");
    assert!(matches!(refused, DestinationError::Unsynced), "{refused}");
    assert_eq!(refused.status().code, StatusCode::SERVICE_UNAVAILABLE);
    let unlisted = Cluster::unlisted(&[pod(&["10.77.0.10"], json!([]))]);
    let refused = super::targets(unlisted).resolve(&permit).await;
    assert!(matches!(refused, Err(DestinationError::Unsynced)));
}

/// The owner of a Service says it, or the administrator; by another name of the same pod nobody gets around it.
#[tokio::test]
async fn a_pod_of_an_isolated_service_is_isolated_by_its_own_name_too() {
    let mut apart = service("apart", json!([{"port": 80}]));
    apart["metadata"]["annotations"] = json!({"throughway.dev/isolation": "sandbox"});
    let slice = json!({"kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"port": 80}],
        "metadata": {"namespace": "demo", "name": "apart-1", "labels": {"kubernetes.io/service-name": "apart"}},
        "endpoints": [{"addresses": ["10.77.0.10"], "targetRef": {"kind": "Pod", "name": "web-0"}}]});
    let mut other = pod(&["10.77.0.11"], json!([]));
    other["metadata"]["name"] = json!("other");
    let objects = [apart, slice, pod(&["10.77.0.10"], json!([])), other];
    let isolated = async |default, name| {
        let path = format!("/namespaces/demo/{name}/proxy/");
        let targets = targets_with(Cluster::of(&objects), default);
        let permit = permit(&path);
        let target = targets.resolve(&permit).await.unwrap();
        target.settings.isolation == Isolation::Sandbox
    };
    for name in ["services/apart", "pods/web-0"] {
        assert!(isolated(IsolationDefault::Off, name).await, "{name}");
    }
    assert!(!isolated(IsolationDefault::Off, "pods/other").await);
    assert!(isolated(IsolationDefault::Sandbox, "pods/other").await);
}

#[tokio::test]
async fn the_udp_port_of_a_number_hides_no_tcp_port() {
    let dns = service(
        "dns",
        json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]),
    );
    let target = resolve(&[dns], "/namespaces/demo/services/dns:53/proxy/")
        .await
        .unwrap();
    let Backends::Endpoints { port, .. } = target.backends else {
        panic!("it is a service")
    };
    assert_eq!(&*port, "dns-tcp");
}

#[tokio::test]
async fn a_service_without_a_tcp_port_is_said_to_have_none() {
    let datagrams = json!([{"name": "dns", "port": 53, "protocol": "UDP"}]);
    for ports in [datagrams, json!([]), json!(null)] {
        let objects = [service("dns", ports.clone())];
        for (reference, message) in [
            (
                "dns",
                r#"service "dns" has no TCP port, and no other is reached"#,
            ),
            (
                "dns:53",
                r#"service "dns" has no port "53"; it has no TCP port at all"#,
            ),
        ] {
            let path = format!("/namespaces/demo/services/{reference}/proxy/");
            let said = refusal(&objects, &path).await;
            assert_eq!(said, (404, message.to_owned()), "{ports}");
        }
    }
}

//! Objects that a tenant may write, and what everybody else's requests come to know through the same watches.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use throughway_testing::attacks::scene::{CALM, pod, service, wait_for_endpoints};
use throughway_testing::backend::Backend;
use throughway_testing::client::{ClientResponse, request};
use throughway_testing::control_plane::node;
use throughway_testing::control_plane::{Cluster, DEMO, alone_on_cluster, on_cluster};

use super::{strangers, until};
use crate::serve::GROUP;

/// Where a pod is in turn, each with a backend of its own: an address belongs to one live pod.
const WANDERS: [&str; 2] = ["10.77.0.28:8080", "10.77.0.29:8080"];

/// The API server prints it as a year of five digits.
const YEAR_TEN_THOUSAND: &str = "9999-12-31T23:59:59-01:00";

fn is_refused(response: &ClientResponse) -> bool {
    response.status.is_client_error() || response.status.is_server_error()
}

#[test]
fn a_pod_that_has_ended_leads_nobody_to_who_has_its_address_now() {
    on_cluster(async |cluster: &Cluster| {
        strangers(cluster).await;
        let address = CALM.split(':').next().unwrap();
        cluster.apply(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ended", "namespace": DEMO},
            "spec": {"nodeName": node::NODE, "restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]}}));
        let pods: Api<Pod> = Api::namespaced(cluster.client().await, DEMO);
        let status = json!({"status": {"phase": "Succeeded", "podIP": address, "podIPs": [{"ip": address}]}});
        pods.patch_status("ended", &PatchParams::default(), &Patch::Merge(&status))
            .await
            .unwrap();
        let admin = cluster.admin();
        until("it has ended", &admin, &pod("ended", "/"), |response| {
            assert_ne!(response.text(), "hello from calm-0");
            response.text().contains("has ended")
        })
        .await;
        assert_eq!(
            admin.get(&pod("calm-0", "/")).await.text(),
            "hello from calm-0"
        );
    });
}

#[test]
fn a_namespace_that_is_a_path_is_no_namespace() {
    on_cluster(async |cluster: &Cluster| {
        strangers(cluster).await;
        for namespace in [
            format!("{DEMO}%252Fpods%252Fcalm-0%23"),
            format!("none%252F..%252F{DEMO}"),
            format!("{DEMO}%2523"),
        ] {
            let path = format!("{GROUP}/namespaces/{namespace}/pods/calm-0:8080/proxy/");
            let response = cluster.admin().get(&path).await;
            assert!(is_refused(&response), "{namespace}: {}", response.text());
            assert_ne!(response.text(), "hello from calm-0");
        }
    });
}

#[test]
fn odd_objects_stop_neither_a_watch_nor_a_restart() {
    alone_on_cluster(async |cluster: &Cluster| {
        strangers(cluster).await;
        let _first = Backend::http("first", WANDERS[0].parse().unwrap()).await;
        let _second = Backend::http("second", WANDERS[1].parse().unwrap()).await;
        for (name, address) in [("wanderer", WANDERS[0]), ("odd-times", "10.77.0.39:8080")] {
            let address = address.parse().unwrap();
            cluster.pod(name, name, address, true).await;
        }
        let admin = cluster.admin();
        until("wanderer", &admin, &pod("wanderer", "/"), |response| {
            !is_refused(response)
        })
        .await;
        odd_port(cluster);
        odd_time(cluster).await;
        assert_watches_go_on(cluster, "after").await;
        let deployment = ["deployment/throughway", "-n", "throughway"];
        cluster.kubectl(&[&["rollout", "restart"][..], &deployment].concat());
        cluster.wait_until_available();
        assert_watches_go_on(cluster, "restarted").await;
        cluster.kubectl(&[
            "delete",
            "endpointslice/odd-port",
            "pod/odd-times",
            "pod/wanderer",
            "-n",
            DEMO,
        ]);
    });
}

/// A slice of no Service's, with a port that no address has.
fn odd_port(cluster: &Cluster) {
    cluster.apply(&json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "odd-port", "namespace": DEMO, "labels": {"kubernetes.io/service-name": "odd"}},
        "addressType": "IPv4", "endpoints": [{"addresses": ["10.77.0.39"]}],
        "ports": [{"name": "x", "protocol": "TCP", "port": 70000}]}));
}

/// What the owner of a pod may write into its managed fields.
async fn odd_time(cluster: &Cluster) {
    let path = format!("/api/v1/namespaces/{DEMO}/pods/odd-times");
    let mut object: Value = cluster.admin().get(&path).await.json();
    object["metadata"]["managedFields"] = json!([{"manager": "odd", "operation": "Update", "apiVersion": "v1",
        "time": YEAR_TEN_THOUSAND, "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {"f:app": {}}}}}]);
    let put = request(
        "PUT",
        &path,
        &[("content-type", "application/json")],
        object.to_string(),
    );
    let response = cluster.admin().ask(put).await;
    assert!(
        response.text().contains("\"10000-01-01T00:59:59Z\""),
        "{}",
        response.text()
    );
}

/// A Service that is new is known, and so is a pod that has moved.
async fn assert_watches_go_on(cluster: &Cluster, name: &str) {
    let admin = cluster.admin();
    cluster.service(name, "solo", &json!([{"port": 80, "targetPort": 8080}]));
    wait_for_endpoints(cluster, name);
    until(name, &admin, &service(name, "/"), |response| {
        response.text() == "hello from solo-0"
    })
    .await;
    let pods: Api<Pod> = Api::namespaced(cluster.client().await, DEMO);
    for (address, said) in [
        (WANDERS[1], "hello from second"),
        (WANDERS[0], "hello from first"),
    ] {
        let address: std::net::SocketAddr = address.parse().unwrap();
        node::say(&pods, "wanderer", address.ip(), true).await;
        until(said, &admin, &pod("wanderer", "/"), |response| {
            response.text() == said
        })
        .await;
    }
}

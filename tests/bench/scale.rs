//! A big cluster: how soon the server is ready, what it keeps, and whether requests notice.

use std::time::Instant;

use serde_json::{Value, json};
use throughway_testing::cluster::EmbeddedCluster;
use throughway_testing::process::{self, least};

use crate::ROUNDS;
use crate::direct::ready;
use crate::load::Load;
use crate::peers::{self, Logs, Running, TOKEN};
use crate::table::Table;

const NODES: usize = 500;
const SERVICES: usize = 2_000;
const PODS_A_SERVICE: usize = 10;
const REQUESTS: u32 = 100_000;

pub async fn measure(table: &mut Table) {
    peers::certificate();
    let _backend = peers::backend().await;
    let small = peers::small_cluster("small").await;
    let big = peers::small_cluster("big").await;
    fill(&big);
    let started = Instant::now();
    let beside_big = peers::throughway(&big, "10.77.0.5:8443", Logs::Off).await;
    ready(&beside_big).await;
    table.plain(
        "start to readiness with 20 000 pods, 2 000 services, 500 nodes",
        ("s", started.elapsed().as_secs_f64()),
        "5, aim 2",
    );
    table.plain(
        "resident memory then",
        ("MiB", process::resident(beside_big.pid) / 1048576.0),
        "100, aim 60",
    );
    let beside_small = peers::throughway(&small, "10.77.0.9:8443", Logs::Off).await;
    ready(&beside_small).await;
    let (mut in_big, mut in_small) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        in_big.push(micros(&beside_big).await);
        in_small.push(micros(&beside_small).await);
    }
    table.ratio(
        "CPU a request in that cluster",
        ("µs", least(in_big)),
        ("in one of a pod: µs", least(in_small)),
        "1.1, aim 1.0",
    );
    table.plain(
        "resident memory after 500 000 requests",
        ("MiB", process::resident(beside_big.pid) / 1048576.0),
        "100",
    );
}

async fn micros(proxy: &Running) -> f64 {
    let load = Load::small(&proxy.url("/small"), TOKEN, REQUESTS);
    load.run(proxy.pid).await.cpu * 1e6 / f64::from(REQUESTS)
}

fn fill(cluster: &EmbeddedCluster) {
    for node in 0..NODES {
        cluster.store.put("nodes", json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": format!("node-{node}"), "labels": labels("node")},
            "status": {"addresses": [{"type": "InternalIP", "address": address(1, node)}, {"type": "Hostname", "address": format!("node-{node}")}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}, "images": images()}}));
    }
    for service in 0..SERVICES {
        let namespace = format!("team-{}", service % 50);
        let name = format!("service-{service}");
        let first = service * PODS_A_SERVICE;
        cluster.store.put("services", json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": namespace, "name": name, "labels": labels(&name), "managedFields": managed_fields()},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": "web"}], "selector": {"app": name}}}));
        let endpoints: Vec<Value> = (first..first + PODS_A_SERVICE)
            .map(|pod| json!({"addresses": [address(2, pod)], "conditions": {"ready": true, "serving": true, "terminating": false},
                "nodeName": format!("node-{}", pod % NODES), "zone": "zone-a",
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod_name(pod), "uid": uid(pod)}}))
            .collect();
        cluster.store.put("endpointslices", json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"namespace": namespace, "name": name, "labels": {"kubernetes.io/service-name": name}, "managedFields": managed_fields()},
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints}));
        for pod in first..first + PODS_A_SERVICE {
            cluster
                .store
                .put("pods", pod_object(&namespace, &name, pod));
        }
    }
}

/// A pod as large as those of a Deployment with a volume, a probe and a sidecar are.
fn pod_object(namespace: &str, app: &str, pod: usize) -> Value {
    let container = |name: &str, port: u16| {
        json!({"name": name, "image": format!("registry.example/team/{name}:v1.2.3"), "args": ["--listen=:8080", "--verbose"],
            "ports": [{"name": if port == 8080 { "web" } else { "metrics" }, "containerPort": port, "protocol": "TCP"}],
            "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "LEVEL", "value": "info"}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "volumeMounts": [{"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": port}, "periodSeconds": 10},
            "imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log"})
    };
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}));
    let statuses = ["app", "sidecar"].map(|name| {
        json!({"name": name, "ready": true, "started": true, "restartCount": 0, "image": format!("registry.example/team/{name}:v1.2.3"),
            "imageID": format!("registry.example/team/{name}@sha256:{}", "0".repeat(64)), "containerID": format!("containerd://{}", "1".repeat(64)),
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}})
    });
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": namespace, "name": pod_name(pod), "uid": uid(pod), "labels": labels(app), "managedFields": managed_fields(),
            "annotations": {"example.dev/checksum": "0".repeat(64)}, "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": app, "uid": uid(pod), "controller": true}]},
        "spec": {"containers": [container("app", 8080), container("sidecar", 9090)], "nodeName": format!("node-{}", pod % NODES),
            "serviceAccountName": "default", "restartPolicy": "Always", "schedulerName": "default-scheduler",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            "volumes": [{"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]}}]},
        "status": {"phase": "Running", "podIP": address(2, pod), "podIPs": [{"ip": address(2, pod)}], "hostIP": address(1, pod % NODES), "qosClass": "Burstable",
            "conditions": conditions, "containerStatuses": statuses}})
}

fn pod_name(pod: usize) -> String {
    format!("service-{}-7d9c5b8f6d-{:05}", pod / PODS_A_SERVICE, pod)
}

fn uid(pod: usize) -> String {
    format!("00000000-0000-4000-8000-{pod:012}")
}

fn address(network: usize, host: usize) -> String {
    format!("10.{}.{}.{}", 100 + network, host / 250, host % 250 + 1)
}

fn labels(app: &str) -> Value {
    json!({"app": app, "app.kubernetes.io/name": app, "app.kubernetes.io/managed-by": "Helm", "pod-template-hash": "7d9c5b8f6d"})
}

fn managed_fields() -> Value {
    let fields: serde_json::Map<String, Value> = (0..30)
        .map(|field| (format!("f:field-{field}"), json!({"f:value": {}})))
        .collect();
    json!([{"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": fields}}])
}

fn images() -> Vec<Value> {
    (0..20)
        .map(|image| json!({"names": [format!("registry.example/team/image-{image}@sha256:{}", "0".repeat(64))], "sizeBytes": 100_000_000}))
        .collect()
}

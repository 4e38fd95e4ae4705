//! Through a real kube-apiserver: its own proxy, and Throughway behind its aggregation layer.

use serde_json::json;
use throughway_testing::control_plane::{API_SERVER, Cluster, DEMO};
use throughway_testing::process::{self, least, median};

use crate::ROUNDS;
use crate::load::Load;
use crate::peers;
use crate::table::Table;

/// Through kube-apiserver's own proxy a round of these takes about eight seconds.
const REQUESTS: u32 = 20_000;

/// A Service with the backend behind it, which kube-apiserver's own proxy finds, too.
async fn a_service_is_ready(cluster: &Cluster) {
    cluster
        .pod("bench-0", "bench", peers::BACKEND.parse().unwrap(), true)
        .await;
    cluster.service(
        "bench",
        "bench",
        &json!([{"name": "http", "port": 80, "targetPort": 8080}]),
    );
    cluster.kubectl(&[
        "wait",
        "--for=jsonpath={.endpoints[0].conditions.ready}=true",
        "endpointslice",
        "-l",
        "kubernetes.io/service-name=bench",
        "-n",
        DEMO,
        "--timeout=30s",
    ]);
}

pub async fn measure(table: &mut Table, cluster: &Cluster) {
    peers::certificate();
    let _backend = peers::backend().await;
    a_service_is_ready(cluster).await;
    let token = allowed(cluster);
    let apiserver = process::find(&["kube-apiserver", "--secure-port=6443"]);
    let load = |group: &str| {
        let url = format!(
            "https://{API_SERVER}{group}/namespaces/{DEMO}/services/bench:http/proxy/small"
        );
        Load::small(&url, &token, REQUESTS)
    };
    let (built_in, ours) = (load("/api/v1"), load("/apis/throughway.dev/v1"));
    for load in [&built_in, &ours] {
        Load {
            requests: 1000,
            ..load.clone()
        }
        .run(apiserver)
        .await;
    }
    let (mut theirs, mut own) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(built_in.run(apiserver).await);
        own.push(ours.run(apiserver).await);
    }
    let rate = |outcomes: &[crate::load::Outcome]| {
        median(outcomes.iter().map(|o| o.requests_a_second).collect())
    };
    let micros = |outcomes: &[crate::load::Outcome]| {
        least(outcomes.iter().map(|o| o.cpu)) * 1e6 / f64::from(REQUESTS)
    };
    table.ratio(
        "requests a second through kube-apiserver",
        ("", rate(&own)),
        ("services/proxy: ", rate(&theirs)),
        "1.4, aim 1.8",
    );
    table.ratio(
        "CPU a request in kube-apiserver itself",
        ("µs", micros(&own)),
        ("services/proxy: µs", micros(&theirs)),
        "",
    );
}

/// A token that may use both proxies.
fn allowed(cluster: &Cluster) -> String {
    let token = cluster.account("bench");
    cluster.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "bench", "namespace": DEMO},
        "rules": [{"apiGroups": ["", "throughway.dev"], "resources": ["services/proxy"], "verbs": ["get"]}]}));
    cluster.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "bench", "namespace": DEMO},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "bench"},
        "subjects": [{"kind": "ServiceAccount", "name": "bench", "namespace": DEMO}]}));
    token
}

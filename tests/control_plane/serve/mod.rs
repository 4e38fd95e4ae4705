//! `throughway serve` behind a real kube-apiserver.

mod callers;
mod compare;
mod installation;
mod kubelets;
mod requests;
mod responses;
mod rights;
mod strangers;

use serde_json::json;
use throughway_testing::client::ClientResponse;
use throughway_testing::control_plane::{Cluster, DEMO};

pub const GROUP: &str = "/apis/throughway.dev/v1";

pub fn service(name: &str, path: &str) -> String {
    format!("{GROUP}/namespaces/{DEMO}/services/{name}/proxy{path}")
}

pub fn pod(name: &str, path: &str) -> String {
    format!("{GROUP}/namespaces/{DEMO}/pods/{name}/proxy{path}")
}

/// What a refusal says, as a Status.
pub fn status(response: &ClientResponse) -> (u16, String) {
    let status = response.json();
    assert_eq!(
        (&status["kind"], &status["status"]),
        (&json!("Status"), &json!("Failure")),
        "{status}"
    );
    assert_eq!(status["code"], response.status.as_u16(), "{status}");
    (
        response.status.as_u16(),
        status["message"].as_str().unwrap().to_owned(),
    )
}

/// Gives an account of the demo namespace a right in it.
pub fn allow(cluster: &Cluster, account: &str, resource: &str, verb: &str) {
    let metadata = json!({"name": account, "namespace": DEMO});
    let rules =
        json!([{"apiGroups": ["throughway.dev", ""], "resources": [resource], "verbs": [verb]}]);
    cluster.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules}));
    cluster.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": DEMO}]}));
}

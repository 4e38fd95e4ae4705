//! What the manifests put into a cluster: it registers, hinders nothing, is replaced without a loss, and goes away
//! whole.

use std::time::{Duration, Instant};

use http::StatusCode;
use throughway_testing::client::{Client, ClientResponse, request};
use throughway_testing::control_plane::{Cluster, DEMO, alone_on_cluster, on_cluster};

use crate::serve::{GROUP, service};

#[test]
fn registration_is_available_and_trusts_the_servers_own_ca() {
    on_cluster(async |cluster: &Cluster| {
        let registered = cluster.kubectl(&["get", "apiservice", "v1.throughway.dev", "-o", "json"]);
        let registered: serde_json::Value = serde_json::from_str(&registered).unwrap();
        assert_eq!(registered["status"]["conditions"][0]["type"], "Available");
        assert_eq!(registered["status"]["conditions"][0]["status"], "True");
        assert_eq!(registered["spec"].get("insecureSkipTLSVerify"), None);
        assert!(registered["spec"]["caBundle"].as_str().unwrap().len() > 100);
        let resources = cluster.kubectl(&["get", "--raw", GROUP]);
        assert!(resources.contains("services/proxy"), "{resources}");
        // kube-aggregator fetches OpenAPI documents in its own time.
        let (admin, path) = (cluster.admin(), "/openapi/v3/apis/throughway.dev/v1");
        let mut response = admin.get(path).await;
        let start = Instant::now();
        while !response.status.is_success() && start.elapsed() < Duration::from_secs(60) {
            response = admin.get(path).await;
        }
        assert_eq!(response.json()["info"]["title"], "throughway.dev");
    });
}

/// A client with the server's own account.
fn as_server(cluster: &Cluster) -> Client {
    let token = cluster.kubectl(&["create", "token", "throughway", "-n", "throughway"]);
    cluster.stranger().with_token(token.trim())
}

/// Asks for a dry run: it passes admission, and leaves everything as the other tests need it.
async fn dry_run(
    client: &Client,
    (method, path): (&str, &str),
    (kind, body): (&str, &str),
) -> ClientResponse {
    let path = format!("{path}?dryRun=All");
    let asked = request(method, &path, &[("Content-Type", kind)], body.to_owned());
    client.ask(asked).await
}

#[test]
fn the_server_may_change_the_ca_bundle_of_its_registration_and_nothing_else() {
    on_cluster(async |cluster: &Cluster| {
        let server = as_server(cluster);
        let patch = async |body: &str| {
            let path = "/apis/apiregistration.k8s.io/v1/apiservices/v1.throughway.dev";
            let kind = "application/merge-patch+json";
            dry_run(&server, ("PATCH", path), (kind, body)).await
        };
        let allowed = patch(r#"{"spec":{"caBundle":"b3RoZXI="}}"#).await;
        assert_eq!(allowed.status, StatusCode::OK, "{}", allowed.text());
        // Admission takes a policy up some time after its creation, which another test may just have brought about.
        let elsewhere = r#"{"spec":{"service":{"namespace":"demo"}}}"#;
        let taken_up = async {
            let mut look = tokio::time::interval(Duration::from_millis(100));
            while patch(elsewhere).await.status != StatusCode::FORBIDDEN {
                look.tick().await;
            }
        };
        let taken_up = tokio::time::timeout(Duration::from_secs(30), taken_up).await;
        assert!(taken_up.is_ok(), "the policy is not in force");
        for body in [
            elsewhere,
            r#"{"spec":{"service":{"name":"web"},"caBundle":"b3RoZXI="}}"#,
            r#"{"spec":{"service":{"port":444}}}"#,
            r#"{"spec":{"groupPriorityMinimum":2000}}"#,
            r#"{"spec":{"versionPriority":16}}"#,
            r#"{"spec":{"insecureSkipTLSVerify":true,"caBundle":null}}"#,
            r#"{"metadata":{"labels":{"a":"b"}}}"#,
            r#"{"metadata":{"annotations":{"a":"b"}}}"#,
            r#"{"metadata":{"annotations":null}}"#,
            r#"{"metadata":{"finalizers":["a.example/b"]}}"#,
        ] {
            let refused = patch(body).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{body}");
            assert!(
                refused.text().contains("the server may"),
                "{body}: {}",
                refused.text()
            );
        }
    });
}

#[test]
fn the_server_writes_events_of_its_own_kind_and_no_other() {
    on_cluster(async |cluster: &Cluster| {
        let server = as_server(cluster);
        let event = |reason: &str, kind: &str| {
            serde_json::json!({"apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason,
                "metadata": {"name": "forged", "namespace": "demo"}, "message": "m", "source": {"component": "throughway"},
                "involvedObject": {"kind": kind, "namespace": "demo", "name": "web", "apiVersion": "v1"}})
            .to_string()
        };
        for (reason, kind, code) in [
            ("AnnotationNotUnderstood", "Service", 201),
            ("AnnotationNotUnderstood", "Pod", 403),
            ("FailedScheduling", "Service", 403),
        ] {
            let path = "/api/v1/namespaces/demo/events";
            let response = dry_run(
                &server,
                ("POST", path),
                ("application/json", &event(reason, kind)),
            )
            .await;
            assert_eq!(
                response.status.as_u16(),
                code,
                "{reason} {kind}: {}",
                response.text()
            );
        }
    });
}

#[test]
fn a_namespace_comes_and_goes_while_the_group_is_registered() {
    on_cluster(async |cluster: &Cluster| {
        cluster.kubectl(&["create", "namespace", "passing"]);
        cluster.kubectl(&["delete", "namespace", "passing", "--wait", "--timeout=60s"]);
        cluster.assert_alive();
    });
}

#[test]
fn what_belongs_to_a_deleted_object_goes_with_it_while_the_group_is_registered() {
    on_cluster(async |cluster: &Cluster| {
        let map = |name: &str, owners: serde_json::Value| {
            serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": DEMO, "ownerReferences": owners}})
        };
        cluster.apply(&map("owner", serde_json::json!([])));
        let get = ["get", "configmap", "owner", "-n", DEMO, "-o"];
        let uid = cluster.kubectl(&[&get[..], &["jsonpath={.metadata.uid}"]].concat());
        let owner = serde_json::json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]);
        cluster.apply(&map("owned", owner));
        cluster.kubectl(&["delete", "configmap", "owner", "-n", DEMO]);
        let gone = ["wait", "--for=delete", "configmap/owned", "-n", DEMO];
        cluster.kubectl(&[&gone[..], &["--timeout=60s"]].concat());
        cluster.assert_alive();
    });
}

/// Replaces the pods of the server, and waits until those from before are gone.
fn replace_all(cluster: &Cluster, before: &str) {
    cluster.kubectl(&[
        "rollout",
        "restart",
        "deployment/throughway",
        "-n",
        "throughway",
    ]);
    cluster.kubectl(&[
        "rollout",
        "status",
        "deployment/throughway",
        "-n",
        "throughway",
        "--timeout=120s",
    ]);
    for pod in before.lines() {
        cluster.kubectl(&[
            "wait",
            "--for=delete",
            pod,
            "-n",
            "throughway",
            "--timeout=120s",
        ]);
    }
}

#[test]
fn a_rolling_replacement_loses_no_request() {
    on_cluster(async |cluster: &Cluster| {
        let before = cluster.kubectl(&["get", "pods", "-n", "throughway", "-o", "name"]);
        let stop = tokio_util::sync::CancellationToken::new();
        let load = (0..4).map(|_| {
            let (admin, stop) = (cluster.admin(), stop.clone());
            tokio::spawn(async move {
                let mut count = 0;
                while !stop.is_cancelled() {
                    let response = admin.get(&service("web:80", "/")).await;
                    assert_eq!(
                        response.status,
                        StatusCode::OK,
                        "after {count}: {}",
                        response.text()
                    );
                    count += 1;
                }
                count
            })
        });
        let load: Vec<_> = load.collect();
        let replacing = tokio::task::spawn_blocking(move || replace_all(cluster, &before));
        let start = Instant::now();
        replacing.await.unwrap();
        stop.cancel();
        let mut count = 0;
        for worker in load {
            count += worker.await.unwrap();
        }
        assert!(
            count > 100,
            "{count} requests in {:?} are no load",
            start.elapsed()
        );
        assert!(start.elapsed() < Duration::from_secs(120));
    });
}

#[test]
fn deleting_the_manifests_leaves_nothing_behind_and_they_can_be_applied_again() {
    alone_on_cluster(async |cluster: &Cluster| {
        let manifests = cluster.manifests();
        cluster.kubectl(&["delete", "-f", &manifests, "--timeout=120s"]);
        let kinds = "namespaces,apiservices,clusterroles,clusterrolebindings,\
            validatingadmissionpolicies,validatingadmissionpolicybindings";
        let left = cluster.kubectl(&["get", kinds, "-o", "name"])
            + &cluster.kubectl(&[
                "get",
                "rolebindings,roles,configmaps,secrets",
                "-A",
                "-o",
                "name",
            ]);
        assert!(!left.contains("throughway"), "{left}");
        cluster.install();
        let said = cluster.kubectl(&["get", "--raw", &service("web:80", "/")]);
        assert!(said.starts_with("hello from web-"), "{said}");
    });
}

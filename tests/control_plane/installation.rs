//! What the manifests put into a cluster: it registers, hinders nothing, is replaced without a loss, and goes away whole.

use std::time::{Duration, Instant};

use http::StatusCode;

use crate::cluster::{Cluster, alone_on_cluster, on_cluster};
use crate::road::{GROUP, service};

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
        let mut answer = admin.get(path).await;
        let start = Instant::now();
        while !answer.status.is_success() && start.elapsed() < Duration::from_secs(60) {
            answer = admin.get(path).await;
        }
        assert_eq!(answer.json()["info"]["title"], "throughway.dev");
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
fn a_rolling_replacement_loses_no_request() {
    on_cluster(async |cluster: &Cluster| {
        let before = cluster.kubectl(&["get", "pods", "-n", "throughway", "-o", "name"]);
        let stop = tokio_util::sync::CancellationToken::new();
        let load = (0..4).map(|_| {
            let (admin, stop) = (cluster.admin(), stop.clone());
            tokio::spawn(async move {
                let mut answered = 0;
                while !stop.is_cancelled() {
                    let answer = admin.get(&service("web:80", "/")).await;
                    assert_eq!(
                        answer.status,
                        StatusCode::OK,
                        "after {answered}: {}",
                        answer.text()
                    );
                    answered += 1;
                }
                answered
            })
        });
        let load: Vec<_> = load.collect();
        let replacing = tokio::task::spawn_blocking(move || {
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
        });
        let start = Instant::now();
        replacing.await.unwrap();
        stop.cancel();
        let mut answered = 0;
        for worker in load {
            answered += worker.await.unwrap();
        }
        assert!(
            answered > 100,
            "{answered} requests in {:?} are no load",
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
        let kinds = "namespaces,apiservices,clusterroles,clusterrolebindings";
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

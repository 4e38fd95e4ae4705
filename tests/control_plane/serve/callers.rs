//! Who asks through kube-apiserver or directly, and what those are told who may not.

use http::StatusCode;
use serde_json::json;
use throughway_testing::client::{Client, request};
use throughway_testing::control_plane::{Cluster, on_cluster};

use super::{GROUP, allow, pod, service, status};

/// A client that meets Throughway itself, at the address of its first replica.
async fn direct(cluster: &Cluster) -> Client {
    let addresses = cluster.kubectl(&[
        "get",
        "pods",
        "-n",
        "throughway",
        "--field-selector=status.phase=Running",
        "-o",
        "jsonpath={.items[0].status.podIP}",
    ]);
    Client::new(format!("{addresses}:8443").parse().unwrap(), None)
}

#[test]
fn who_may_not_is_told_so_in_kubernetes_words() {
    on_cluster(async |cluster: &Cluster| {
        let token = cluster.account("nobody");
        let words = concat!(
            r#"services.throughway.dev "web:80" is forbidden: User "system:serviceaccount:demo:nobody" cannot get resource "#,
            r#""services/proxy" in API group "throughway.dev" in the namespace "demo""#
        );
        // kube-apiserver refuses before it asks this server; a direct caller is refused by this server: in the same
        // words.
        for client in [cluster.stranger(), direct(cluster).await] {
            let response = client.with_token(&token).get(&service("web:80", "/")).await;
            assert_eq!(status(&response), (403, words.to_owned()));
            assert_eq!(
                response.json()["details"],
                json!({"name": "web:80", "group": "throughway.dev", "kind": "services"})
            );
        }
        let refused =
            cluster.kubectl_refused(&["get", "--raw", &service("web:80", "/"), "--as=nobody"]);
        assert!(
            refused.contains("Forbidden")
                && refused.contains("cannot get resource \"services/proxy\""),
            "{refused}"
        );
    });
}

#[test]
fn an_unknown_token_is_unauthorized() {
    on_cluster(async |cluster: &Cluster| {
        for client in [cluster.stranger(), direct(cluster).await] {
            let response = client
                .with_token("no-such-token")
                .get(&service("web:80", "/"))
                .await;
            assert_eq!(status(&response), (401, "Unauthorized".to_owned()));
        }
    });
}

#[test]
fn a_stranger_can_not_speak_for_others_by_headers() {
    on_cluster(async |cluster: &Cluster| {
        let spoofed = [
            ("X-Remote-User", "kubernetes-admin"),
            ("X-Remote-Group", "system:masters"),
        ];
        let response = direct(cluster)
            .await
            .ask(request("GET", &service("web:80", "/"), &spoofed, ""))
            .await;
        assert_eq!(status(&response), (401, "Unauthorized".to_owned()));
    });
}

#[test]
fn a_token_is_enough_for_a_direct_caller() {
    on_cluster(async |cluster: &Cluster| {
        let token = cluster.account("direct");
        allow(cluster, "direct", "services/proxy", "get");
        let client = direct(cluster).await.with_token(&token);
        let response = client.get(&service("web:80", "/echo")).await;
        let text = response.text();
        assert_eq!(response.status, StatusCode::OK, "{text}");
        assert!(
            !text.contains(&token) && !text.to_lowercase().contains("authorization"),
            "{text}"
        );
        assert_eq!(
            status(
                &client
                    .ask(request("POST", &service("web:80", "/"), &[], ""))
                    .await
            )
            .0,
            403
        );
    });
}

#[test]
fn a_refusal_names_its_cause() {
    on_cluster(async |cluster: &Cluster| {
        let admin = cluster.admin();
        for (path, code, message) in [
            (
                service("unready", "/"),
                503,
                r#"no endpoints available for service "unready": of 1 endpoints 0 are ready"#,
            ),
            (
                service("empty", "/"),
                503,
                r#"no endpoints available for service "empty": it has no endpoints; does its selector match any pod?"#,
            ),
            (service("none", "/"), 404, r#"services "none" not found"#),
            (pod("none", "/"), 404, r#"pods "none" not found"#),
            (
                format!("{GROUP}/nodes/none/proxy/metrics"),
                404,
                r#"nodes "none" not found"#,
            ),
            (
                service("two", "/"),
                400,
                r#"service "two" has several ports, name one of them; it has 80 (http), 81 (other)"#,
            ),
            (
                service("web:81", "/"),
                404,
                r#"service "web" has no port "81"; it has 80 (http)"#,
            ),
            (
                service("ftp:web:80", "/"),
                400,
                r#"invalid service request "ftp:web:80": the form is [scheme:]name[:port], the scheme http or https"#,
            ),
            (
                service("two:81", "/"),
                503,
                "error trying to reach service: ",
            ),
            (
                service("https:web:80", "/"),
                502,
                "error trying to reach service: ",
            ),
            (
                service("secure:443", "/"),
                502,
                "error trying to reach service: 10.77.0.33:8443 speaks TLS; try https:NAME:PORT",
            ),
        ] {
            let said = status(&admin.get(&path).await);
            assert_eq!(said.0, code, "{path}: {}", said.1);
            assert!(said.1.starts_with(message), "{path}: {}", said.1);
        }
    });
}

//! Requests through kube-apiserver, as people and programs make them.

use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use serde_json::json;
use throughway_testing::backend::{pattern, sha256};
use throughway_testing::client::request;
use throughway_testing::control_plane::{Cluster, on_cluster};
use tokio_tungstenite::tungstenite::Message;

use super::{GROUP, allow, pod, service, status};

/// 64 MiB: far more than any buffer on the way.
const LARGE: usize = 64 << 20;

#[test]
fn a_service_is_reached_by_every_form_of_its_name() {
    on_cluster(async |cluster: &Cluster| {
        for name in [
            "web",
            "web:80",
            "web:080",
            "web:http",
            "web:",
            "http:web:80",
            "http:web:http",
            "bare",
            "bare:80",
            "two:80",
            "two:http",
        ] {
            let said = cluster.kubectl(&["get", "--raw", &service(name, "/")]);
            assert!(said.starts_with("hello from web-"), "{name}: {said}");
        }
        for name in ["https:secure:443", "https:secure:https", "https:secure:"] {
            assert_eq!(
                cluster.kubectl(&["get", "--raw", &service(name, "/")]),
                "hello from secure-0"
            );
        }
    });
}

#[test]
fn a_pod_is_reached_by_name_and_port() {
    on_cluster(async |cluster: &Cluster| {
        for name in [
            "web-0",
            "web-0:8080",
            "web-0:web",
            "http:web-0:8080",
            "unready-0",
        ] {
            let said = cluster.kubectl(&["get", "--raw", &pod(name, "/")]);
            assert!(said.starts_with("hello from"), "{name}: {said}");
        }
        assert_eq!(
            cluster.kubectl(&["get", "--raw", &pod("https:secure-0:8443", "/")]),
            "hello from secure-0"
        );
    });
}

#[test]
fn kubectl_gets_creates_replaces_and_deletes() {
    on_cluster(async |cluster: &Cluster| {
        let body = std::env::temp_dir().join(format!("throughway-body-{}", std::process::id()));
        std::fs::write(&body, "a body").unwrap();
        let body = body.to_str().unwrap();
        for (verb, method, file) in [
            ("get", "GET", None),
            ("create", "POST", Some(body)),
            ("replace", "PUT", Some(body)),
            ("delete", "DELETE", None),
        ] {
            let path = service("web:80", "/echo/a?b=c");
            let mut arguments = vec![verb, "--raw", &path];
            arguments.extend(file.iter().flat_map(|file| ["-f", file]));
            let said: serde_json::Value =
                serde_json::from_str(&cluster.kubectl(&arguments)).unwrap();
            assert_eq!(
                (&said["method"], &said["uri"]),
                (&json!(method), &json!("/echo/a?b=c"))
            );
            if file.is_some() {
                assert_eq!(said["sha256"], sha256(b"a body"));
            }
        }
        std::fs::remove_file(body).unwrap();
    });
}

#[test]
fn a_kubelet_serves_monitoring_and_nothing_else() {
    on_cluster(async |cluster: &Cluster| {
        let node = |path: &str| format!("{GROUP}/nodes/hollow:10250/proxy{path}");
        assert_eq!(cluster.kubectl(&["get", "--raw", &node("/healthz")]), "ok");
        assert!(
            cluster
                .kubectl(&["get", "--raw", &node("/metrics")])
                .contains("# TYPE kubelet_")
        );
        assert!(
            cluster
                .kubectl(&["get", "--raw", &node("/pods")])
                .contains("\"PodList\"")
        );
        let configz = format!("{GROUP}/nodes/hollow/proxy/configz");
        assert!(
            cluster
                .kubectl(&["get", "--raw", &configz])
                .starts_with('{')
        );
        for path in [
            "/exec/demo/web-0/c",
            "/run/demo/web-0/c",
            "/pods/../exec",
            "/%65xec/demo",
            "//exec",
            "/logs/",
            "/",
        ] {
            let (code, message) = status(&cluster.admin().get(&node(path)).await);
            assert_eq!(code, 403, "{path}");
            assert!(
                message.starts_with("a kubelet is asked here only for"),
                "{message}"
            );
        }
        let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
        let response = cluster
            .admin()
            .ask(request("GET", &node("/pods"), &upgrade, ""))
            .await;
        assert_eq!(status(&response).0, 403);
    });
}

#[test]
fn sixty_four_mebibytes_go_up_and_come_down_whole() {
    on_cluster(async |cluster: &Cluster| {
        let bytes = pattern(LARGE);
        let admin = cluster.admin();
        let up = admin
            .ask(request(
                "POST",
                &service("web:80", "/echo"),
                &[],
                bytes.clone(),
            ))
            .await;
        let said = up.json();
        assert_eq!(
            (&said["length"], &said["sha256"]),
            (&json!(LARGE), &json!(sha256(&bytes)))
        );
        let down = admin
            .get(&service("web:80", &format!("/bytes/{LARGE}")))
            .await;
        assert_eq!(down.body.len(), LARGE);
        assert_eq!(sha256(&down.body), sha256(&bytes));
    });
}

#[test]
fn a_stream_arrives_piece_by_piece() {
    on_cluster(async |cluster: &Cluster| {
        let admin = cluster.admin();
        let mut response = admin
            .send(request("GET", &pod("web-0", "/drip"), &[], ""))
            .await
            .into_body();
        let first = response
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        assert_eq!(first, "one\n", "the second piece is not even there yet");
        admin.get(&pod("web-0", "/drip/next")).await;
        let rest = response.collect().await.unwrap().to_bytes();
        assert_eq!(rest, "two\n");
    });
}

#[test]
fn a_websocket_echoes_and_its_query_arrives() {
    on_cluster(async |cluster: &Cluster| {
        let token = cluster.account("websocket-user");
        allow(cluster, "websocket-user", "services/proxy", "get");
        let stream = cluster.stranger().connect().await;
        let path = service("web:80", "/ws?session=1&empty");
        let request = http::Request::builder()
            .uri(format!("wss://10.77.0.1:6443{path}"))
            .header("host", "10.77.0.1:6443")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", "chat")
            .header("authorization", format!("Bearer {token}"))
            .body(())
            .unwrap();
        let (mut socket, response) = tokio_tungstenite::client_async(request, stream)
            .await
            .unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        // kube-aggregator sorts a query and says `empty=` for `empty`; nothing of it is lost.
        let asked = socket.next().await.unwrap().unwrap();
        assert_eq!(asked, Message::text("/ws?empty=&session=1"));
        for text in ["one", "two"] {
            socket.send(Message::text(text)).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
        }
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    });
}

//! Serves a start page on loopback until Ctrl-C, to be looked at: `cargo test --lib local::page::tests::look -- --ignored`.

use serde_json::json;

use super::World;
use super::fake_api::rules_status;
use crate::local::page;
use crate::local::problem::{Advice, Problem};
use crate::status::Status;
use axum::extract::Request;

#[expect(clippy::too_many_lines, reason = "a table of Services")]
fn fill(world: &World) {
    let api = &world.api;
    for (namespace, name, ports, ready) in [
        (
            "monitoring",
            "grafana",
            json!([{"name": "web", "port": 3000}]),
            &[true][..],
        ),
        (
            "monitoring",
            "prometheus",
            json!([{"name": "http", "port": 9090}, {"name": "reloader-web", "port": 8080}]),
            &[true, true, false],
        ),
        (
            "monitoring",
            "alertmanager",
            json!([{"port": 9093}]),
            &[false],
        ),
        (
            "auth",
            "dex",
            json!([{"name": "https", "port": 5556}, {"name": "telemetry", "port": 5558}]),
            &[true],
        ),
        (
            "demo",
            "shop-frontend",
            json!([{"port": 80}]),
            &[true, true, true],
        ),
        (
            "demo",
            "shop-backend-with-a-rather-long-name",
            json!([{"name": "http", "port": 80}, {"name": "grpc", "port": 9000}, {"port": 8443}]),
            &[true, true],
        ),
        ("demo", "staging", json!([{"port": 8080}]), &[]),
        (
            "kube-system",
            "kube-dns",
            json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}, {"name": "metrics", "port": 9153}]),
            &[true, true],
        ),
        (
            "kube-system",
            "metrics-server",
            json!([{"name": "https", "port": 443}]),
            &[true],
        ),
    ] {
        api.service(namespace, name, &ports);
        if !ready.is_empty() {
            api.endpoints(namespace, name, ready);
        }
    }
    api.put(
        "services",
        json!({"metadata": {"namespace": "demo", "name": "mail"},
        "spec": {"type": "ExternalName", "externalName": "mail.example", "ports": [{"port": 25}]}}),
    );
    for namespace in ["demo", "monitoring", "auth"] {
        let mut rules = rules_status(&["x"]);
        rules["resourceRules"][0]
            .as_object_mut()
            .unwrap()
            .remove("resourceNames");
        if namespace == "auth" {
            rules = rules_status(&["https:dex:5556"]);
        }
        api.rules(namespace, rules);
    }
}

#[tokio::test]
#[ignore = "a person looks at it"]
async fn serve() {
    let world = World::new();
    fill(&world);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:18001")
        .await
        .unwrap();
    let start = world.page.clone();
    let (api, way) = (world.api.clone(), world.way.clone());
    let app = axum::Router::new().fallback(move |request: Request| {
        let (start, api, way) = (start.clone(), api.clone(), way.clone());
        async move {
            if let Some(response) = start.asset(&request) {
                return response;
            }
            if request.uri().path() == "/problem" {
                let status =
                    Status::not_found("services \"grafanna\" not found in namespace monitoring");
                let problem = Problem::new(status, "No such Service")
                    .advise(Advice::Sentence("Near matches:".to_owned()))
                    .advise(Advice::Link {
                        label: "grafana".to_owned(),
                        url: "http://grafana.monitoring.svc.localhost:8001/".to_owned(),
                    })
                    .advise(Advice::Command {
                        purpose: "This lists what there is:".to_owned(),
                        line: "kubectl get services -n monitoring --context kind-demo".to_owned(),
                    });
                return page::html(page::problem(&problem));
            }
            match request.uri().path() {
                "/refused" => api.answers("/", 401),
                "/some" => api.answers("/api/v1/services", 403),
                "/built-in" => {
                    let limits = vec![
                        "Pages that name their own host in scripts may show addresses of the API server.",
                        "Answers of more than one coding arrive unpacked.",
                    ];
                    way.send_replace(crate::local::page::WayFact::BuiltIn { limits });
                }
                _ => {}
            }
            start.answer("localhost:18001", request.uri().query()).await
        }
    });
    axum::serve(listener, app).await.unwrap();
}

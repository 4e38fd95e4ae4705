//! Objects through both: made, changed, watched and deleted, and bodies that are larger than any buffer on the way.

use std::time::Duration;

use serde_json::json;
use throughway_testing::backend::{pattern, sha256};
use throughway_testing::control_plane::{Cluster, DEMO, on_cluster};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::process::{Pair, Proxy};
use super::raw::Heard;

/// A pod's response of 50 MB, and a body of 20 MB for it.
const LARGE_RESPONSE: usize = 50_000_000;
const LARGE_BODY: usize = 20_000_000;

/// What a watch may take, that has nothing to wait for.
const AT_ONCE: Duration = Duration::from_secs(5);

fn config_maps(name: &str) -> String {
    format!("/api/v1/namespaces/{DEMO}/configmaps{name}")
}

fn request(method: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: one\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Status, and the names of the header lines: the content has times and versions of its own.
fn shape(heard: &Heard) -> (String, Vec<String>) {
    let mut names: Vec<String> = heard
        .compared()
        .lines
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    names.sort();
    (heard.status.clone(), names)
}

/// Makes, replaces, changes and deletes a ConfigMap; says what was answered.
async fn life(proxy: &Proxy, name: &str) -> Vec<((String, Vec<String>), serde_json::Value)> {
    let object = |value: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}}).to_string()
    };
    let whole = config_maps(&format!("/{name}"));
    let steps = [
        ("POST", config_maps(""), "application/json", object("one")),
        ("POST", config_maps(""), "application/json", object("one")),
        ("PUT", whole.clone(), "application/json", object("two")),
        (
            "PATCH",
            whole.clone(),
            "application/merge-patch+json",
            r#"{"data":{"key":"three"}}"#.to_owned(),
        ),
        ("PATCH", whole.clone(), "text/plain", "nonsense".to_owned()),
        ("GET", whole.clone(), "", String::new()),
        ("DELETE", whole.clone(), "application/json", String::new()),
        ("GET", whole, "", String::new()),
    ];
    let mut responses = Vec::new();
    for (method, path, content_type, body) in steps {
        let heard = proxy
            .ask(&request(method, &path, content_type, body.as_bytes()))
            .await;
        let said = heard.json();
        responses.push((
            shape(&heard),
            json!([said["kind"], said["data"], said["code"], said["reason"]]),
        ));
    }
    responses
}

#[test]
fn an_object_lives_the_same_life_through_both() {
    on_cluster(async |cluster: &Cluster| {
        let pair = Pair::serve(cluster, &[]).await;
        let kubectl = life(&pair.kubectl, "through-kubectl-1").await;
        let ours = life(&pair.ours, "through-another-1").await;
        assert_eq!(ours, kubectl);
        let codes: Vec<&str> = ours.iter().map(|((status, _), _)| &status[9..12]).collect();
        assert_eq!(
            codes,
            ["201", "409", "200", "200", "415", "200", "200", "404"]
        );
    });
}

/// Reads from a watch until a text has come.
async fn until(stream: &mut dyn super::raw::Stream, seen: &mut Vec<u8>, text: &str) {
    let reading = async {
        while !seen
            .windows(text.len())
            .any(|window| window == text.as_bytes())
        {
            assert_ne!(stream.read_buf(seen).await.unwrap(), 0, "the watch ended");
        }
    };
    tokio::time::timeout(AT_ONCE, reading)
        .await
        .unwrap_or_else(|_| panic!("{text} does not come: {}", String::from_utf8_lossy(seen)));
}

#[test]
fn a_watch_arrives_event_by_event() {
    on_cluster(async |cluster: &Cluster| {
        let pair = Pair::serve(cluster, &[]).await;
        let name = "watched-through-both";
        let path = config_maps(&format!("?watch=1&fieldSelector=metadata.name={name}"));
        let asked = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut watches = Vec::new();
        for proxy in [&pair.kubectl, &pair.ours] {
            let mut stream = proxy.connect().await;
            stream.write_all(asked.as_bytes()).await.unwrap();
            let mut seen = Vec::new();
            // The head comes although there is no event.
            until(&mut *stream, &mut seen, "\r\n\r\n").await;
            watches.push((stream, seen));
        }
        cluster.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": DEMO}}));
        for (stream, seen) in &mut watches {
            until(&mut **stream, seen, r#""type":"ADDED""#).await;
        }
        cluster.kubectl(&["delete", "configmap", name, "-n", DEMO]);
        for (stream, seen) in &mut watches {
            until(&mut **stream, seen, r#""type":"DELETED""#).await;
        }
    });
}

#[test]
fn large_bodies_arrive_whole() {
    on_cluster(async |cluster: &Cluster| {
        let pair = Pair::serve(cluster, &[]).await;
        let pod = format!("/api/v1/namespaces/{DEMO}/pods/solo-0/proxy");
        let down = format!("GET {pod}/bytes/{LARGE_RESPONSE} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (kubectl, ours) = pair.ask(down.as_bytes()).await;
        assert_eq!(ours.body.len(), LARGE_RESPONSE);
        // Every server of Go on the way guesses a type for a response without one, if its first bytes come with its
        // head. One without a type is in a sandbox here (`differences::INERT`).
        let is_of_type = |name: &str| {
            [
                "Content-Type",
                "Content-Security-Policy",
                "X-Content-Type-Options",
            ]
            .contains(&name)
        };
        let said = |heard: &Heard| {
            let lines = heard.lines.iter().filter(|(name, _)| !is_of_type(name));
            (heard.status.clone(), lines.cloned().collect::<Vec<_>>())
        };
        assert_eq!(said(&ours), said(&kubectl));
        assert_eq!(sha256(&ours.body), sha256(&kubectl.body));
        let bytes = pattern(LARGE_BODY);
        let up = request(
            "POST",
            &format!("{pod}/echo"),
            "application/octet-stream",
            &bytes,
        );
        let (kubectl, ours) = pair.ask(&up).await;
        assert_eq!(ours, kubectl);
        assert_eq!(ours.json()["sha256"], sha256(&bytes));
    });
}

#[test]
fn one_connection_carries_many_requests() {
    on_cluster(async |cluster: &Cluster| {
        let pair = Pair::serve(cluster, &[]).await;
        for proxy in [&pair.kubectl, &pair.ours] {
            let mut stream = proxy.connect().await;
            for path in ["/version", "/none", "//api", "/version"] {
                let asked = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
                let heard = super::raw::ask(&mut *stream, asked.as_bytes()).await;
                assert_eq!(heard.end, super::raw::End::Whole, "{path}");
            }
        }
    });
}

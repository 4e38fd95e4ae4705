//! Connections that become something else: WebSockets, SPDY, and kubectl's own exec, attach and port-forward.

use futures_util::{SinkExt, StreamExt};
use throughway_testing::control_plane::{Cluster, DEMO, on_cluster};
use tokio_tungstenite::tungstenite::Message;

use super::at_one_moment;
use super::process::{Pair, Proxy};
use super::raw::{self, Heard};

fn upgrade(target: &str, protocol: &str, lines: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n{lines}\r\n").into_bytes()
}

const WEBSOCKET: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\n";

const OFFER: &str = "HTTP2-Settings: AAMAAABkAAQBAAAAAAIAAAAA\r\n";

fn pod(path: &str) -> String {
    format!("/api/v1/namespaces/{DEMO}/pods/solo-0/proxy{path}")
}

#[test]
fn a_websocket_talks_through_both() {
    on_cluster(async |cluster: &Cluster| {
        let pair = Pair::serve(cluster, &[]).await;
        let mut heard = Vec::new();
        for proxy in [&pair.kubectl, &pair.ours] {
            let request = http::Request::builder()
                .uri(format!("ws://localhost{}", pod("/ws?session=1")))
                .header("host", "localhost")
                .header("connection", "Upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
                .header("sec-websocket-protocol", "chat")
                .body(())
                .unwrap();
            let (mut socket, response) =
                tokio_tungstenite::client_async(request, proxy.connect().await)
                    .await
                    .unwrap();
            let mut said = vec![socket.next().await.unwrap().unwrap()];
            for text in ["one", "two"] {
                socket.send(Message::text(text)).await.unwrap();
                said.push(socket.next().await.unwrap().unwrap());
            }
            socket.close(None).await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
            let protocol = response.headers().get("sec-websocket-protocol").cloned();
            heard.push((response.status(), protocol, said));
        }
        assert_eq!(heard[1], heard[0]);
    });
}

/// The head of a response to an upgrade.
async fn head(proxy: &Proxy, request: &[u8]) -> Heard {
    let mut stream = proxy.connect().await;
    let mut heard = raw::ask(&mut *stream, request).await.compared();
    if heard.status.starts_with("HTTP/1.1 101") {
        // What comes behind it may or may not be there yet.
        heard.body.clear();
    }
    heard
}

/// With names of header lines in lower case.
fn in_lower_case(mut heard: Heard) -> Heard {
    for (name, _) in &mut heard.lines {
        name.make_ascii_lowercase();
    }
    heard
}

/// Upgrades of targets and of the API, with the protocols that Kubernetes has and one that is only an offer.
fn requests() -> Vec<Vec<u8>> {
    let exec = |pod: &str| format!("/api/v1/namespaces/{DEMO}/pods/{pod}/exec?command=ls&stdout=1");
    let forward =
        |pod: &str| format!("/api/v1/namespaces/{DEMO}/pods/{pod}/portforward?ports=8080");
    vec![
        upgrade(&pod("/ws"), "websocket", WEBSOCKET),
        upgrade(&pod("/none"), "websocket", WEBSOCKET),
        upgrade(
            &exec("none"),
            "SPDY/3.1",
            "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n",
        ),
        upgrade(
            &exec("none"),
            "websocket",
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n",
        ),
        upgrade(
            &forward("none"),
            "SPDY/3.1",
            "X-Stream-Protocol-Version: portforward.k8s.io\r\n",
        ),
        upgrade("/none", "websocket", WEBSOCKET),
        upgrade("/version", "websocket", WEBSOCKET),
        upgrade("/", "websocket", WEBSOCKET),
        upgrade("/version", "h2c", OFFER),
        upgrade(&pod("/"), "h2c", OFFER),
    ]
}

/// Whether both say the same, or differ as the list of differences says.
fn is_expected(request: &[u8], kubectl: &Heard, ours: &Heard) -> bool {
    let is_offer = String::from_utf8_lossy(request).contains("h2c");
    let is_refused = kubectl.status.starts_with("HTTP/1.1 403");
    if is_offer && !is_refused {
        // OFFER_OF_HTTP2
        kubectl.status.starts_with("HTTP/1.1 500") && ours.status.starts_with("HTTP/1.1 200")
    } else if kubectl.text().starts_with("invalid upgrade response") {
        // NO_UPGRADE
        ours.status == kubectl.status && ours.json()["message"] == kubectl.text().trim()
    } else if kubectl.status.starts_with("HTTP/1.1 101") {
        // UPGRADE_NAMES
        ours != kubectl && in_lower_case(ours.clone()) == *kubectl
    } else {
        ours == kubectl
    }
}

#[test]
fn every_upgrade_gets_the_same_response_from_both() {
    on_cluster(async |cluster: &Cluster| {
        let requests = requests();
        let mut wrong = Vec::new();
        for flags in [vec!["--reject-paths="], vec!["--disable-filter"], vec![]] {
            let pair = Pair::serve(cluster, &flags).await;
            for request in &requests {
                let (kubectl, ours) =
                    tokio::join!(head(&pair.kubectl, request), head(&pair.ours, request));
                if !is_expected(request, &kubectl, &ours) {
                    wrong.push(format!(
                        "{flags:?} {}\n  kubectl: {}\n  ours:    {}",
                        String::from_utf8_lossy(request).escape_debug(),
                        super::brief(&kubectl),
                        super::brief(&ours)
                    ));
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "{} answers:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    });
}

/// kubectl as somebody uses it behind a proxy, and what it says.
async fn through(cluster: &Cluster, proxy: &Proxy, arguments: &[&str]) -> (bool, String, String) {
    let server = format!("--server=http://{}", proxy.address());
    let arguments = [&["--kubeconfig=/dev/null", &server], arguments].concat();
    let mut command = tokio::process::Command::from(cluster.command(&arguments));
    let output = command.kill_on_drop(true).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(proxy.address(), "PROXY");
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn kubectl_itself_works_the_same_through_both() {
    on_cluster(async |cluster: &Cluster| {
        let pair = Pair::serve(cluster, &["--reject-paths="]).await;
        let namespace = format!("--namespace={DEMO}");
        for arguments in [
            // Other tests make and delete pods meanwhile, with other labels.
            vec!["get", "pods", "-l", "app=web", &namespace, "-o", "name"],
            vec!["version", "--output=json"],
            vec!["api-resources", "--no-headers", "--sort-by=name"],
            vec!["explain", "pod.spec.nodeName"],
            vec!["exec", "solo-0", &namespace, "--", "ls"],
            vec!["attach", "solo-0", &namespace],
            vec!["logs", "solo-0", &namespace],
            vec!["port-forward", "none-0", "18020:8080", &namespace],
            vec!["auth", "whoami"],
        ] {
            let kubectl = async || through(cluster, &pair.kubectl, &arguments).await;
            let ours = async || through(cluster, &pair.ours, &arguments).await;
            let (kubectl, ours) =
                at_one_moment(async || tokio::join!(kubectl(), ours()), kubectl).await;
            assert_eq!(ours, kubectl, "{arguments:?}");
        }
    });
}

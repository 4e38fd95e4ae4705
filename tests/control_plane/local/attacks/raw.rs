//! Attacks by programs: requests that no browser sends unless somebody lies to it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use throughway_testing::client::{ClientResponse, request};
use throughway_testing::companion::Companion;
use throughway_testing::control_plane::{Cluster, DEMO, on_cluster};
use throughway_testing::target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{VICTIM, World, new_path};

/// Nothing answers slower.
const LIMIT: Duration = Duration::from_secs(20);

/// Sends bytes on a connection of their own, and returns all that comes until the other side closes.
async fn said(local: &Companion, bytes: &str) -> String {
    let mut stream = TcpStream::connect(local.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut response)).await;
    read.unwrap_or_else(|_| panic!("open for ever: {bytes:?}"))
        .unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

/// The code of a response.
fn code(response: &str) -> u16 {
    response
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {response:?}"))
}

#[test]
fn a_name_that_was_made_to_lead_here_reaches_nothing() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        for local in world.companions() {
            names_that_lead_here(world, local).await;
        }
    });
}

async fn names_that_lead_here(world: &World, local: &Companion) {
    let port = local.address.port();
    let victim = local.host(VICTIM);
    let in_api = format!("/api/v1/namespaces/{DEMO}/services/victim:80/proxy");
    for host in [
        "evil.example",
        "victim.demo.svc.localhost.evil.example",
        "127.0.0.1.nip.example",
        "localhost.evil.example",
        "evil.localhost",
        "svc.localhost",
        "localhost:8001@evil",
        "localhost@evil.example",
        "victim.demo.svc.localhost@evil.example",
        "evil.example/victim.demo.svc.localhost",
        "evil.example#.localhost",
        "victim.demo.svc.localhost evil.example",
        "[::1]evil.example",
        "127.0.0.1.",
        "0.0.0.0",
        "",
    ] {
        for start in ["", &in_api] {
            let path = new_path();
            let asked = format!(
                "GET {start}{path} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n\r\n"
            );
            let response = said(local, &asked).await;
            assert!(
                matches!(code(&response), 400 | 403 | 404),
                "{host}: {response}"
            );
            assert!(world.victim.seen(&path).is_empty(), "{host}");
        }
    }
    let path = new_path();
    for head in [
        format!("GET {path} HTTP/1.1\r\nHost: {victim}\r\nHost: evil.example\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nHost: {victim}\r\n"),
        format!("GET {path} HTTP/1.1\r\nHost: {victim}\r\nHost: {victim}\r\n"),
        format!("GET http://evil.example{path} HTTP/1.1\r\nHost: {victim}\r\n"),
        format!("GET http://{victim}@evil.example{path} HTTP/1.1\r\nHost: {victim}\r\n"),
        format!("CONNECT {victim} HTTP/1.1\r\nHost: {victim}\r\n"),
        format!("CONNECT 10.77.0.21:8080 HTTP/1.1\r\nHost: localhost:{port}\r\n"),
        format!("GET {path} HTTP/1.1\r\n"),
    ] {
        let response = said(local, &format!("{head}Connection: close\r\n\r\n")).await;
        assert!(
            matches!(code(&response), 400 | 403 | 404 | 405),
            "{head}: {response}"
        );
    }
    assert!(world.victim.seen(&path).is_empty());
    // A whole address goes before the Host, as for Go's server; a page can't make a browser send one here.
    for named in [victim.as_str(), "evil.example"] {
        let head = format!("GET http://{victim}{path} HTTP/1.1\r\nHost: {named}\r\n");
        let response = said(local, &format!("{head}Connection: close\r\n\r\n")).await;
        assert_eq!(code(&response), 200, "{named}");
    }
    assert_eq!(world.victim.seen(&path).len(), 2);
}

#[test]
fn one_request_is_never_two() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let host = world.local.host(VICTIM);
        let path = new_path();
        let hidden = format!("GET {path}/hidden HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let after_chunks = format!("0\r\n\r\n{hidden}");
        let length = hidden.len();
        for (lines, body) in [
            (
                format!("Content-Length: 0\r\nContent-Length: {length}"),
                &hidden,
            ),
            (
                format!("Content-Length: {length}\r\nContent-Length: 0"),
                &hidden,
            ),
            (format!("Content-Length: 0, {length}"), &hidden),
            ("Content-Length: +0".to_owned(), &hidden),
            ("Content-Length : 0".to_owned(), &hidden),
            (
                format!("Transfer-Encoding: xchunked\r\nContent-Length: {length}"),
                &hidden,
            ),
            (
                "Transfer-Encoding: chunked, identity".to_owned(),
                &after_chunks,
            ),
            ("Transfer-Encoding : chunked".to_owned(), &after_chunks),
            ("Transfer-Encoding:\x0bchunked".to_owned(), &after_chunks),
            (format!("X-Folded: a\r\n Content-Length: {length}"), &hidden),
            (format!("X-Bare: a\rContent-Length: {length}"), &hidden),
            ("X-Nothing: a\0b".to_owned(), &hidden),
            ("X Two: a".to_owned(), &hidden),
            (": nameless".to_owned(), &hidden),
        ] {
            let asked = post(&path, &host, &lines, body);
            assert_eq!(code(&said(&world.local, &asked).await), 400, "{lines}");
        }
        for start in [
            "GET PATH HTTP/1.1 x",
            "GET PATH HTTP/9.9",
            "GET PATH",
            "GE\0T PATH HTTP/1.1",
        ] {
            let start = start.replace("PATH", &path);
            let response = said(&world.local, &format!("{start}\r\nHost: {host}\r\n\r\n")).await;
            assert_eq!(code(&response), 400, "{start}");
        }
        assert!(world.victim.seen(&path).is_empty());
        assert!(world.victim.seen(&format!("{path}/hidden")).is_empty());
    });
}

#[test]
fn chunks_say_how_long_a_body_is_and_nothing_hides_behind_it() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let host = world.local.host(VICTIM);
        let path = new_path();
        let after_chunks = format!("0\r\n\r\nGET {path}/hidden HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let longer = after_chunks.len();
        // Where both say how long a body is, its chunks do, and the length goes no further (RFC 9112 section 6.3).
        let chunked = "Transfer-Encoding: chunked";
        let both = [
            format!("Content-Length: {longer}\r\n{chunked}"),
            format!("{chunked}\r\nContent-Length: {longer}"),
        ];
        for lines in &both {
            let asked = post(&path, &host, lines, &after_chunks);
            assert_eq!(code(&said(&world.local, &asked).await), 200, "{lines}");
        }
        let bare = format!("GET {path} HTTP/1.1\nHost: {host}\nConnection: close\n\n");
        assert_eq!(code(&said(&world.local, &bare).await), 200);
        let seen = world.victim.seen(&path);
        assert_eq!(seen.len(), 3);
        for seen in seen {
            assert!(seen.body.is_empty(), "{seen:?}");
            let length = seen.headers.get("content-length");
            assert!(length.is_none_or(|length| length == "0"), "{seen:?}");
        }
        for body in [
            "-1\r\nx\r\n0\r\n\r\n",
            "ffffffffffffffff1\r\nx\r\n0\r\n\r\n",
        ] {
            let response = said(&world.local, &post(&path, &host, chunked, body)).await;
            assert!(code(&response) >= 400, "{body}");
        }
        assert!(world.victim.seen(&format!("{path}/hidden")).is_empty());
    });
}

fn post(path: &str, host: &str, lines: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\nConnection: close\r\n\r\n{body}")
}

/// A kubeconfig of a ServiceAccount, in a file of its own.
fn kubeconfig(cluster: &Cluster, account: &str) -> (std::path::PathBuf, String) {
    let token = cluster.account(account);
    let authority = cluster.kubeconfig().with_file_name("ca.crt");
    let path = std::path::Path::new("/run").join(format!("{account}.kubeconfig"));
    let text = json!({"apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": "https://10.77.0.1:6443", "certificate-authority": authority}}],
        "users": [{"name": account, "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": account}}]});
    std::fs::write(&path, text.to_string()).unwrap();
    (path, token)
}

#[test]
fn a_page_impersonates_nobody() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let (kubeconfig, _) = kubeconfig(cluster, "impersonator");
        cluster.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "impersonator"},
            "rules": [{"apiGroups": [""], "resources": ["users", "groups"], "verbs": ["impersonate"]}]}));
        cluster.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "impersonator"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "impersonator"},
            "subjects": [{"kind": "ServiceAccount", "name": "impersonator", "namespace": DEMO}]}));
        let powers = [
            ("impersonate-user", "system:admin"),
            ("impersonate-group", "system:masters"),
            ("x-remote-user", "system:admin"),
            ("x-remote-group", "system:masters"),
        ];
        for proxy in ["throughway", "built-in"] {
            let local = Companion::start(&kubeconfig, &[format!("--via={proxy}")]);
            let path = new_path();
            for lines in [&powers[..], &[]] {
                let host = local.host(VICTIM);
                let response = local.ask(&host, request("GET", &path, lines, "")).await;
                assert_eq!(response.status, 403, "{proxy}");
            }
            assert!(world.victim.seen(&path).is_empty(), "{proxy}");
            // A program may, as through kubectl proxy: it is the API itself that it asks.
            let in_api = format!("/api/v1/namespaces/{DEMO}/services/victim:80/proxy{path}");
            let response = local.ask_api(request("GET", &in_api, &powers, "")).await;
            assert_eq!(response.status, 200, "{proxy}: {}", response.text());
        }
    });
}

/// The responses to people and programs: of targets, of the API, of what is not there, and to what is no HTTP.
async fn all_that_it_says(local: &Companion) -> String {
    let person = [
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "none"),
    ];
    let mut text = String::new();
    let mut add = |response: ClientResponse| {
        let body = String::from_utf8_lossy(&response.body);
        text.push_str(&format!("{:?}{body}", response.headers));
    };
    for lines in [&person[..], &[]] {
        for host in [
            VICTIM,
            "nobody.demo.svc",
            "empty.demo.svc",
            "raw.demo.svc",
            "two.demo.svc",
        ] {
            for path in ["/page", "/garbage", "/status/401"] {
                let asked = request("GET", path, lines, "");
                add(local.ask(&local.host(host), asked).await);
            }
        }
        let nodes = "/api/v1/nodes/none/proxy/";
        for path in [
            "/",
            "/version",
            nodes,
            "/nowhere",
            "/apis/throughway.dev/v1",
        ] {
            add(local.ask_api(request("GET", path, lines, "")).await);
        }
    }
    let two_hosts = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n";
    for bytes in [two_hosts, "nonsense\r\n\r\n"] {
        text.push_str(&said(local, bytes).await);
    }
    text
}

#[test]
fn credentials_are_told_to_nobody() {
    on_cluster(async |cluster: &Cluster| {
        let world = World::get(cluster).await;
        let (kubeconfig, token) = kubeconfig(cluster, "canary");
        cluster.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "canary"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "canary", "namespace": DEMO}]}));
        // The second knows a server that is not there.
        let away = kubeconfig.with_file_name("away.kubeconfig");
        let text = std::fs::read_to_string(&kubeconfig).unwrap();
        std::fs::write(&away, text.replace("10.77.0.1:6443", "10.77.0.59:6443")).unwrap();
        let mut text = String::new();
        for (name, kubeconfig) in [("there", &kubeconfig), ("away", &away)] {
            for proxy in ["throughway", "built-in"] {
                let log = target().join(format!("controlplane/logs/canary-{name}-{proxy}.txt"));
                let stderr = Stdio::from(std::fs::File::create(&log).unwrap());
                let flags = [format!("--via={proxy}"), "--log=debug".to_owned()];
                let local = Companion::start_with(kubeconfig, &flags, stderr);
                text.push_str(&all_that_it_says(&local).await);
                drop(local);
                let logged = std::fs::read_to_string(&log).unwrap();
                assert!(!logged.is_empty(), "{}", log.display());
                text.push_str(&logged);
            }
        }
        for seen in world.victim.seen("/page") {
            text.push_str(&format!("{:?}", seen.headers));
        }
        assert!(text.contains("secret of victim"), "the token was of use");
        let parts: Vec<&str> = token.split('.').collect();
        for secret in [parts[0], parts[1], parts[2]] {
            assert!(
                !text.contains(secret),
                "it was told: {}",
                around(&text, secret)
            );
        }
        assert!(!text.contains("Bearer "), "{}", around(&text, "Bearer "));
    });
}

/// What stands before a secret that was told.
fn around<'t>(text: &'t str, secret: &str) -> &'t str {
    let at = text.find(secret).unwrap_or_default();
    let from = (0..=at.saturating_sub(300))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    &text[from.unwrap_or_default()..at]
}

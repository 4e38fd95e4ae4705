//! What a kubelet that belongs to an attacker gets to see, and what can be done with it.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use throughway_testing::client::request;
use throughway_testing::control_plane::{Cluster, on_cluster};
use throughway_testing::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::serve::GROUP;

const NODE: &str = "captured";
const ADDRESS: &str = "10.77.0.36:10250";

/// TLS with a certificate of the cluster's CA for the address, as a kubelet with `serverTLSBootstrap` has it.
fn acceptor(cluster: &Cluster, address: SocketAddr) -> TlsAcceptor {
    let read = |name: &str| std::fs::read_to_string(cluster.file(name)).unwrap();
    let ca_key = KeyPair::from_pem(&read("ca.key")).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&read("ca.crt"), ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![address.ip().to_string()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        );
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

/// Answers every request, and keeps its head.
async fn listen(cluster: &Cluster) -> mpsc::Receiver<String> {
    let address = ADDRESS.parse().unwrap();
    let (listener, acceptor) = (
        TcpListener::bind(ADDRESS).await.unwrap(),
        acceptor(cluster, address),
    );
    let (heads, captured) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
            stream.write_all(response).await.unwrap();
            let _ = stream.shutdown().await;
            if heads.send(String::from_utf8(head).unwrap()).await.is_err() {
                return;
            }
        }
    });
    captured
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// The token that this server shows a kubelet.
async fn captured_token(cluster: &Cluster) -> String {
    let mut captured = listen(cluster).await;
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}));
    let status = json!({"status": {
        "addresses": [{"type": "InternalIP", "address": "10.77.0.36"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}});
    cluster.kubectl(&[
        "patch",
        "node",
        NODE,
        "--subresource=status",
        "--type=merge",
        "-p",
        &status.to_string(),
    ]);
    let path = format!("{GROUP}/nodes/{NODE}/proxy/metrics");
    // The other replica's watch may not have the node's address yet.
    let responses = async || cluster.admin().get(&path).await.text() == "ok";
    until("the node is known", responses).await;
    let head = captured.recv().await.unwrap();
    cluster.kubectl(&["delete", "node", NODE]);
    let line = head
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("authorization:"))
        .unwrap();
    line.split_once("Bearer ").unwrap().1.trim().to_owned()
}

#[test]
fn the_token_that_a_kubelet_captures_reads_no_secret_and_changes_no_registration() {
    on_cluster(async |cluster: &Cluster| {
        let token = captured_token(cluster).await;
        let claims = claims(&token);
        assert_eq!(
            claims["sub"],
            "system:serviceaccount:throughway:throughway-kubelet"
        );
        let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!(life, 600, "seconds");
        let bearer = format!("Bearer {token}");
        let ask = async |method: &str, path: &str, body: &str| {
            let kind = match method {
                "POST" => "application/json",
                _ => "application/merge-patch+json",
            };
            let headers = [("Authorization", bearer.as_str()), ("Content-Type", kind)];
            let asked = request(method, path, &headers, body.to_owned());
            cluster.stranger().ask(asked).await
        };
        let review = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let body = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#;
        let known = ask("POST", review, body).await.json();
        assert_eq!(
            known["status"]["userInfo"]["username"], claims["sub"],
            "the token is good, it only may nothing"
        );
        let registration = "/apis/apiregistration.k8s.io/v1/apiservices/v1.throughway.dev";
        let secrets = "/api/v1/namespaces/throughway/secrets";
        let tokens = "/api/v1/namespaces/throughway/serviceaccounts/throughway/token";
        for (method, path, body) in [
            ("GET", &*format!("{secrets}/throughway-serving"), ""),
            ("GET", secrets, ""),
            ("PATCH", registration, r#"{"spec":{"caBundle":""}}"#),
            ("GET", registration, ""),
            ("GET", "/api/v1/pods", ""),
            ("GET", "/api/v1/nodes/hollow/proxy/metrics", ""),
            ("GET", &*format!("{GROUP}/nodes/hollow/proxy/metrics"), ""),
        ] {
            let status = ask(method, path, body).await.status.as_u16();
            assert_eq!(status, 403, "{method} {path}");
        }
        let body = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}"#;
        assert_eq!(ask("POST", tokens, body).await.status.as_u16(), 403);
    });
}

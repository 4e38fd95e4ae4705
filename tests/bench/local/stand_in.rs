//! An API server that answers at once, so that the proxies in front of it are what is measured: an nginx that speaks
//! TLS, HTTP/2 and HTTP/1.1. Targets answer as they would through Throughway; upgrades come back as what was sent.

use std::net::SocketAddr;
use std::path::PathBuf;

use throughway_testing::cluster::kubeconfig_text;
use throughway_testing::serving::Serving;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::peers::{self, Logs, Running, TOKEN};

const ADDRESS: &str = "127.0.0.1:16443";

/// Bytes of a response that is not big.
const SMALL: usize = 1024;

/// Serves until it is dropped.
#[derive(Debug)]
pub struct StandIn {
    pub kubeconfig: PathBuf,
    _nginx: Running,
    _echo: Serving,
}

impl StandIn {
    pub async fn start() -> Self {
        let ca = peers::certificate();
        std::fs::write(peers::dir().join("big"), vec![b' '; peers::BIG]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nginx = nginx(listener.local_addr().unwrap()).await;
        let kubeconfig = peers::dir().join("local.kubeconfig");
        let text = kubeconfig_text(&format!("https://{ADDRESS}"), &ca, TOKEN);
        std::fs::write(&kubeconfig, text).unwrap();
        Self {
            kubeconfig,
            _nginx: nginx,
            _echo: echo(listener),
        }
    }
}

/// kube-apiserver takes 250 requests at once on a connection, and says the five headers of every response.
async fn nginx(echo: SocketAddr) -> Running {
    let small = " ".repeat(SMALL);
    let server = format!(
        "server {{
           listen {ADDRESS} ssl http2; http2_max_concurrent_streams 250; root /run/bench;
           ssl_certificate /run/bench/cert.pem; ssl_certificate_key /run/bench/key.pem;
           location / {{
             default_type application/json;
             add_header Audit-Id 2a0b5f1e-9f3c-4a55-8ed1-0d7d3c8c6f5b; add_header Cache-Control \"no-cache, private\";
             add_header X-Kubernetes-Pf-Flowschema-Uid 9f3c4a55-2a0b-5f1e-8ed1-0d7d3c8c6f5b;
             add_header X-Kubernetes-Pf-Prioritylevel-Uid 8ed10d7d-9f3c-4a55-2a0b-5f1e3c8c6f5b;
             return 200 \"{small}\";
           }}
           location /apis/throughway.dev/v1/namespaces/ {{
             default_type application/octet-stream;
             add_header Throughway-Origin $http_throughway_origin; add_header Throughway-Response-Content-Type text/html;
             add_header Throughway-Response-Cache-Control max-age=60; add_header X-Content-Type-Options nosniff;
             add_header Cache-Control no-store;
             return 200 \"{small}\";
           }}
           location = /big {{ default_type application/octet-stream; }}
           location = /api/v1/echo {{
             proxy_pass http://{echo}; proxy_http_version 1.1;
             proxy_set_header Connection Upgrade; proxy_set_header Upgrade $http_upgrade;
           }} }}"
    );
    peers::nginx("stand-in", ADDRESS, Logs::Off, &server).await
}

/// Answers every connection's head with a 101, and sends back whatever comes after it.
fn echo(listener: TcpListener) -> Serving {
    Serving::each(listener, |stream, _| upgraded(stream))
}

async fn upgraded(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap() == 0 {
            return;
        }
    }
    let response =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(response.as_bytes()).await.unwrap();
    let (mut from, mut to) = stream.split();
    // The other side may go in the middle.
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

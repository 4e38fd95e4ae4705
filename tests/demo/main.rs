//! A demo: a small cluster, sample backends and Throughway in one process, with commands to paste. Until Ctrl-C.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets something unexpected ends there"
)]
#![allow(
    clippy::unused_self,
    clippy::too_many_lines,
    reason = "a test's helpers read as what the cluster does"
)]
#![allow(dead_code, reason = "not every helper has a user in every test binary")]
#![allow(unreachable_pub, reason = "helpers are shared between test binaries")]
#![allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's tasks, files and connections are not for tests"
)]

#[path = "../embedded_cluster/mod.rs"]
mod embedded_cluster;
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::path::PathBuf;

use embedded_cluster::front_proxy::FrontProxy;
use embedded_cluster::{EmbeddedCluster, kubeconfig_text};
use support::backend::Backend;
use throughway::lifecycle::Signals;
use throughway::server::Server;
use throughway::telemetry::AccessLog;

/// The port to paste; another is taken if it is in use.
const PORT: u16 = 8443;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    throughway::telemetry::log::start("warn");
    let signals = Signals::listen()?;
    let dir = PathBuf::from(std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into()))
        .join("demo");
    let cluster = EmbeddedCluster::start(&dir).await;
    let _backends = samples(&cluster).await;
    let server = Server::build(cluster.config(), AccessLog::off()).await?;
    let front_proxy = front_proxy(&cluster, server.address()).await?;
    let kubeconfig = dir.join("kubeconfig");
    let address = format!("https://{}", front_proxy.address);
    std::fs::write(
        &kubeconfig,
        kubeconfig_text(&address, &cluster.cluster_ca.pem, "alice"),
    )?;
    let kubeconfig = kubeconfig.canonicalize()?;
    println!("{}", commands(&address, &kubeconfig.display().to_string()));
    server.run(signals).await;
    Ok(())
}

/// Two pods behind the Service `web`, and a user each who may and may not reach it.
async fn samples(cluster: &EmbeddedCluster) -> Vec<Backend> {
    let any_port: SocketAddr = ([127, 0, 0, 1], 0).into();
    let backend = Backend::http("web-0", any_port).await;
    cluster.pod("demo", "web-0", backend.address);
    cluster.service("demo", "web", 80, &[("web-0", backend.address)]);
    cluster.store.token("alice", "alice", &["team"]);
    cluster.store.token("bob", "bob", &[]);
    cluster.allow("alice", "demo", "services/proxy", &["get", "create"]);
    cluster.allow("alice", "demo", "pods/proxy", &["get"]);
    vec![backend]
}

async fn front_proxy(cluster: &EmbeddedCluster, server: SocketAddr) -> std::io::Result<FrontProxy> {
    let start = |port| {
        let address = ([127, 0, 0, 1], port).into();
        FrontProxy::start(
            address,
            server,
            cluster.store.clone(),
            &cluster.cluster_ca,
            &cluster.front_proxy_ca,
        )
    };
    match start(PORT).await {
        Ok(front_proxy) => Ok(front_proxy),
        Err(_) => start(0).await,
    }
}

fn commands(address: &str, kubeconfig: &str) -> String {
    let service = "/apis/throughway.dev/v1/namespaces/demo/services/web:http/proxy";
    format!(
        "A small cluster is up, with Throughway registered in it. Paste into another terminal:

  # A Service over HTTP; alice may.
  curl -sk -H 'Authorization: Bearer alice' {address}{service}/
  curl -sk -H 'Authorization: Bearer alice' -d hello '{address}{service}/echo?a=b'
  kubectl --kubeconfig {kubeconfig} get --raw {service}/

  # A WebSocket: the backend says the path that it was asked for, then curl waits; end it with Ctrl-C.
  curl -skN --http1.1 -H 'Authorization: Bearer alice' -H 'Connection: Upgrade' -H 'Upgrade: websocket' \\
    -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' '{address}{service}/ws?hello'

  # A refused user: bob may not.
  curl -sk -H 'Authorization: Bearer bob' {address}{service}/

Ctrl-C ends it."
    )
}

//! The backend, and the proxies in front of it: each a process with one worker, TLS and HTTP/2 towards the client, kept
//! HTTP/1.1 connections towards the backend.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use throughway_testing::cluster::EmbeddedCluster;
use throughway_testing::cluster::certificates::Authority;
use throughway_testing::until;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Where the backend listens: a plain nginx.
pub const BACKEND: &str = "10.77.0.20:8080";

/// What is in front of the path that the backend gets.
pub const PREFIX: &str = "/apis/throughway.dev/v1/namespaces/bench/services/web:http/proxy";

/// The token that the load carries.
pub const TOKEN: &str = "bench-token";

/// Bytes of `/big`.
pub const BIG: usize = 100_000_000;

/// A process that ends with this.
#[derive(Debug)]
pub struct Running {
    pub name: &'static str,
    pub pid: u32,
    address: SocketAddr,
    child: Child,
}

impl Drop for Running {
    /// The next process may want the same address, so this one has to be gone.
    fn drop(&mut self) {
        self.child.start_kill().unwrap();
        while self.child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
    }
}

/// Whether requests leave a line in a log.
#[derive(Debug, Clone, Copy)]
pub enum Logs {
    Off,
    On,
}

impl Running {
    async fn start(name: &'static str, address: &str, mut command: Command) -> Self {
        let address: SocketAddr = address.parse().unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|failed| panic!("{name}: {failed}"));
        until(name, async || TcpStream::connect(address).await.is_ok()).await;
        Self {
            name,
            pid: child.id().unwrap(),
            address,
            child,
        }
    }

    /// The URL of a path of the backend behind this proxy.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{PREFIX}{path}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A folder in memory for configuration, certificates and the big file.
pub fn dir() -> PathBuf {
    let dir = PathBuf::from("/run/bench");
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Leaves a certificate and its key in [`dir`]; returns the certificate of its authority.
pub fn certificate() -> String {
    let authority = Authority::new("bench");
    let (certificate, key) = authority.issue_pem("bench");
    write("cert.pem", &certificate);
    write("key.pem", &key);
    write("both.pem", &(certificate + &key));
    authority.pem
}

fn write(name: &str, text: &str) -> PathBuf {
    let path = dir().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

pub async fn backend() -> Running {
    let mut big = vec![0; BIG];
    aws_lc_rs::rand::fill(&mut big).unwrap();
    std::fs::write(dir().join("big"), big).unwrap();
    let small = "x".repeat(100);
    let server = format!(
        "server {{ listen {BACKEND}; root /run/bench; location = /small {{ return 200 \"{small}\"; }}
           location = /page.html {{ types {{ text/html html; }} }}
           location = /bomb {{ default_type text/html; add_header Content-Encoding gzip; }} }}"
    );
    nginx("backend", BACKEND, Logs::Off, &server).await
}

/// nginx with a location by regular expression, as one writes it for many targets.
pub async fn nginx_proxy(logs: Logs) -> Running {
    let address = "10.77.0.6:8443";
    let server = format!(
        "upstream pods {{ server {BACKEND}; keepalive 64; keepalive_requests 100000000; }}
         server {{
           listen {address} ssl http2;
           ssl_certificate /run/bench/cert.pem; ssl_certificate_key /run/bench/key.pem;
           location ~ ^/apis/throughway.dev/v1/namespaces/[^/]+/services/[^/]+/proxy(/.*)$ {{
             proxy_pass http://pods$1$is_args$args; proxy_http_version 1.1; proxy_set_header Connection \"\";
             sub_filter 'href=\"/' 'href=\"{PREFIX}/'; sub_filter_once off;
           }} }}"
    );
    nginx("nginx", address, logs, &server).await
}

pub async fn nginx(name: &'static str, address: &str, logs: Logs, server: &str) -> Running {
    let log = match logs {
        Logs::Off => "off",
        Logs::On => "/run/bench/access.log combined buffer=64k",
    };
    let text = format!(
        "daemon off; master_process off; pid /run/bench/{name}.pid; error_log stderr crit;
         events {{ worker_connections 8192; }}
         http {{ access_log {log}; keepalive_requests 100000000; sendfile on; client_body_temp_path /run/bench/{name}-body;
           proxy_temp_path /run/bench/{name}-proxy; fastcgi_temp_path /run/bench/{name}-f; uwsgi_temp_path /run/bench/{name}-u;
           scgi_temp_path /run/bench/{name}-s; {server} }}"
    );
    let config = write(&format!("{name}.conf"), &text);
    let mut command = Command::new("nginx");
    command.arg("-c").arg(config).args(["-e", "stderr"]);
    Running::start(name, address, command).await
}

pub async fn haproxy() -> Running {
    let address = "10.77.0.7:8443";
    let text = format!(
        "global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend clients
  bind {address} ssl crt /run/bench/both.pem alpn h2,http/1.1
  http-request replace-path /apis/throughway.dev/v1/namespaces/[^/]+/services/[^/]+/proxy(/.*) \\1
  default_backend pods
backend pods
  server one {BACKEND}
"
    );
    let mut command = Command::new("haproxy");
    command
        .arg("-db")
        .arg("-f")
        .arg(write("haproxy.cfg", &text));
    Running::start("haproxy", address, command).await
}

pub async fn envoy() -> Running {
    let address = "10.77.0.8:8443";
    let config = write("envoy.json", &envoy_config(address).to_string());
    let mut command = Command::new(std::env::var("ENVOY").expect("make bench names Envoy"));
    command.arg("-c").arg(config);
    command.args(["--concurrency", "1", "--disable-hot-restart", "-l", "error"]);
    Running::start("Envoy", address, command).await
}

fn envoy_config(address: &str) -> serde_json::Value {
    let socket = |address: &str| {
        let address: SocketAddr = address.parse().unwrap();
        serde_json::json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
    };
    let typed = |name: &str| format!("type.googleapis.com/envoy.extensions.{name}");
    serde_json::json!({"static_resources": {
        "listeners": [{"address": socket(address), "filter_chains": [{
            "transport_socket": {"name": "tls", "typed_config": {
                "@type": typed("transport_sockets.tls.v3.DownstreamTlsContext"),
                "common_tls_context": {"alpn_protocols": ["h2"], "tls_certificates": [{
                    "certificate_chain": {"filename": "/run/bench/cert.pem"}, "private_key": {"filename": "/run/bench/key.pem"}}]}}},
            "filters": [{"name": "http", "typed_config": {
                "@type": typed("filters.network.http_connection_manager.v3.HttpConnectionManager"),
                "stat_prefix": "bench", "codec_type": "AUTO",
                "http_filters": [{"name": "router", "typed_config": {"@type": typed("filters.http.router.v3.Router")}}],
                "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{
                    "match": {"prefix": format!("{PREFIX}/")}, "route": {"cluster": "pods", "prefix_rewrite": "/", "timeout": "0s"}}]}]}}}]}]}],
        "clusters": [{"name": "pods", "type": "STATIC", "load_assignment": {"cluster_name": "pods",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(BACKEND)}}]}]}}]}})
}

/// An embedded cluster in which Service `web` of namespace `bench` leads to the backend, and the load's token may use
/// it.
pub async fn small_cluster(name: &str) -> EmbeddedCluster {
    let cluster = EmbeddedCluster::start(&dir().join("clusters").join(name)).await;
    sample(&cluster);
    cluster
}

pub fn sample(cluster: &EmbeddedCluster) {
    let backend: SocketAddr = BACKEND.parse().unwrap();
    cluster.pod("bench", "web-0", backend);
    cluster.service("bench", "web", 80, &[("web-0", backend)]);
    cluster.store.token(TOKEN, "bench", &["team"]);
    cluster.allow("bench", "bench", "services/proxy", &["get"]);
}

/// Throughway in front of a cluster.
pub async fn throughway(cluster: &EmbeddedCluster, address: &str, logs: Logs) -> Running {
    let address: SocketAddr = address.parse().unwrap();
    let kubeconfig = cluster.kubeconfig();
    let mut command = Command::new(throughway_testing::program());
    command
        .arg("serve")
        .arg(format!("--bind-address={}", address.ip()))
        .arg(format!("--secure-port={}", address.port()))
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .arg(match logs {
            Logs::Off => "--access-log=off",
            Logs::On => "--access-log=on",
        })
        .arg(std::env::var("BENCH_LOG").unwrap_or("--log=warn".into()))
        .env("TOKIO_WORKER_THREADS", "1");
    Running::start("Throughway", &address.to_string(), command).await
}

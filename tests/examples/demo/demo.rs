//! What the demo is made of: a small cluster, two Services in it, Throughway, and the companion in front.
//!
//! Comes in: which ports it would like, and a folder that does not exist yet. Goes out: the running whole, with what it
//! tells a person. It ends with everything that it started, its folder included.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use throughway::cli::{self, Command};
use throughway::lifecycle::Tasks;
use throughway::local::Companion;
use throughway::local::config::LocalConfig;
use throughway::serve::config::{Config, Loopback};
use throughway::serve::server::Server;
use throughway::serve::telemetry::AccessLog;
use throughway_testing::backend::Backend;
use throughway_testing::client::Client;
use throughway_testing::cluster::front_proxy::FrontProxy;
use throughway_testing::cluster::{EmbeddedCluster, kubeconfig_text};
use tokio::task::JoinHandle;

use crate::dashboard::Dashboard;

/// What stands before a path of a Service.
const SERVICES: &str = "/apis/throughway.dev/v1/namespaces/demo/services";

const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// Requests that run are cut after this.
const GRACE: Duration = Duration::ZERO;

/// It takes a part of a second.
const START_LIMIT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

type Failed = Box<dyn std::error::Error>;

/// Ports to paste; another is taken where one is in use, and 0 is any.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub api: u16,
    pub companion: u16,
}

/// The running demo.
#[derive(Debug)]
pub struct Demo {
    /// Where the API is, as `https://`.
    pub api: SocketAddr,
    /// The companion's port on loopback.
    pub companion: u16,
    pub kubeconfig: PathBuf,
    tasks: [Tasks; 2],
    running: [JoinHandle<()>; 2],
    _folder: Folder,
    _front_proxy: FrontProxy,
    _web: Backend,
    _dashboard: Dashboard,
    _cluster: EmbeddedCluster,
}

impl Demo {
    pub async fn start(dir: PathBuf, ports: Ports) -> Result<Self, Failed> {
        let folder = Folder::create(dir)?;
        let cluster = EmbeddedCluster::start(&folder.0).await;
        let web = Backend::http("web-0", ANY_PORT.into()).await;
        let dashboard = Dashboard::start(ANY_PORT.into()).await?;
        fill(
            &cluster,
            &[("web", web.address), ("dashboard", dashboard.address)],
        );
        let server = Server::build(server_config(&cluster)?, AccessLog::off()).await?;
        let front_proxy = front_proxy(&cluster, server.address(), ports.api).await?;
        let text = kubeconfig_text(
            &format!("https://{}", front_proxy.address),
            &cluster.cluster_ca.pem,
            "alice",
        );
        let kubeconfig = folder.0.join("kubeconfig");
        std::fs::write(&kubeconfig, text)?;
        let companion = companion(&kubeconfig, ports.companion).await?;
        let demo = Self {
            api: front_proxy.address,
            companion: companion.port(),
            kubeconfig,
            tasks: [companion.tasks(), server.tasks()],
            running: [
                tokio::spawn(companion.run_until_ended()),
                tokio::spawn(server.run_until_ended()),
            ],
            _folder: folder,
            _front_proxy: front_proxy,
            _web: web,
            _dashboard: dashboard,
            _cluster: cluster,
        };
        tokio::time::timeout(START_LIMIT, demo.ready()).await?;
        Ok(demo)
    }

    /// Waits until Throughway knows what is in the cluster.
    async fn ready(&self) {
        let client = Client::new(self.api, None).with_token("alice");
        let mut pause = tokio::time::interval(POLL_INTERVAL);
        for service in ["dashboard", "web"] {
            let path = format!("{SERVICES}/{service}/proxy/");
            while !client.get(&path).await.status.is_success() {
                pause.tick().await;
            }
        }
    }

    /// The dashboard at an origin of its own.
    pub fn target_origin(&self) -> String {
        format!("http://dashboard.demo.svc.localhost:{}/", self.companion)
    }

    /// The same dashboard below its path in the API.
    pub fn below_the_prefix(&self) -> String {
        let port = self.companion;
        format!("http://127.0.0.1:{port}{SERVICES}/dashboard/proxy/")
    }

    /// What to open and what to paste.
    pub fn text(&self) -> String {
        let (own, prefix) = (self.target_origin(), self.below_the_prefix());
        let service = format!("{SERVICES}/web:http/proxy");
        let address = format!("https://{}", self.api);
        let kubeconfig = self.kubeconfig.display();
        format!(
            "A small cluster is up, with Throughway registered in it and throughway local in front.

Open in a browser, a dashboard in a pod:
  {own}
  {prefix}

Paste into another terminal:
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

    /// Ends everything.
    pub async fn end(self) -> Result<(), Failed> {
        for tasks in &self.tasks {
            tasks.end(Duration::ZERO, GRACE).await;
        }
        for running in self.running {
            running.await?;
        }
        Ok(())
    }
}

/// A folder that only this user can read, until it is dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn create(path: PathBuf) -> std::io::Result<Self> {
        // Not one that somebody else has made.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A pod behind each Service, and a user each who may and may not reach them.
fn fill(cluster: &EmbeddedCluster, services: &[(&str, SocketAddr)]) {
    for (name, address) in services {
        let pod = format!("{name}-0");
        cluster.pod("demo", &pod, *address);
        cluster.service("demo", name, 80, &[(&pod, *address)]);
    }
    cluster.store.token("alice", "alice", &["team"]);
    cluster.store.token("bob", "bob", &[]);
    cluster.allow("alice", "demo", "services/proxy", &["get", "create"]);
    cluster.allow("alice", "demo", "pods/proxy", &["get"]);
}

async fn front_proxy(
    cluster: &EmbeddedCluster,
    server: SocketAddr,
    port: u16,
) -> std::io::Result<FrontProxy> {
    let start = |port| cluster.front_proxy(([127, 0, 0, 1], port).into(), server);
    match start(port).await {
        Ok(front_proxy) => Ok(front_proxy),
        Err(_) => start(0).await,
    }
}

/// The demo's pods are on loopback, which no flag allows.
fn server_config(cluster: &EmbeddedCluster) -> Result<Config, Failed> {
    match cli::read(cluster.command_line())? {
        Command::Serve(mut config) => {
            config.target.loopback = Loopback::AllowedForDevelopment;
            Ok(*config)
        }
        Command::Local(_) => Err("the command line is another program's".into()),
    }
}

async fn companion(kubeconfig: &std::path::Path, port: u16) -> Result<Companion, Failed> {
    match Companion::build(&companion_config(kubeconfig, port)?).await {
        Ok(companion) => Ok(companion),
        Err(_) => Ok(Companion::build(&companion_config(kubeconfig, 0)?).await?),
    }
}

/// As `throughway local` reads it from its command line. The dashboard is shown at the API's origin too, which only
/// kubectl proxy's manners allow; nothing but this demo is behind it.
fn companion_config(kubeconfig: &std::path::Path, port: u16) -> Result<LocalConfig, Failed> {
    let mut line = vec!["throughway".into(), "local".into()];
    line.push(format!("--port={port}").into());
    line.push("--cross-site=allow".into());
    line.push("--kubeconfig".into());
    line.push(kubeconfig.into());
    match cli::read(line)? {
        Command::Local(config) => Ok(*config),
        Command::Serve(_) => Err("the command line is another program's".into()),
    }
}

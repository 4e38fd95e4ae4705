//! Throughway in front of the embedded cluster: what happens when things fail, and what it costs when they do not.

mod attacks;
mod cross_site;
mod faults;
mod handshakes;
mod limits;
mod login;
mod malformed;
mod process;
mod responses;
mod shared_connection;
mod steady;
mod untaken;

use std::net::SocketAddr;
use std::time::Duration;

use throughway::cli::{self, Command};
use throughway::lifecycle::Tasks;
use throughway::serve::config::{Config, Loopback};
use throughway::serve::server::Server;
use throughway::serve::telemetry::AccessLog;
use throughway_testing::backend::Backend;
use throughway_testing::client::{Client, ClientResponse};
use throughway_testing::cluster::EmbeddedCluster;
use throughway_testing::{LIMIT, fresh_dir, until};
use tokio::task::JoinHandle;

const ANY_PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// A cluster with one Service, and a Throughway that is ready in front of it.
struct Setting {
    cluster: EmbeddedCluster,
    backend: Backend,
    address: SocketAddr,
    tasks: Tasks,
    running: JoinHandle<()>,
}

/// The pods of the embedded cluster are on loopback, which no flag allows.
fn config(cluster: &EmbeddedCluster) -> Config {
    let Ok(Command::Serve(mut config)) = cli::read(cluster.command_line()) else {
        panic!("a command line of serve");
    };
    config.target.loopback = Loopback::AllowedForDevelopment;
    *config
}

/// `demo/web` behind one pod; alice may reach it, bob may nothing, root may everything.
async fn sample_cluster() -> (EmbeddedCluster, Backend) {
    let cluster = EmbeddedCluster::start(&fresh_dir("embedded")).await;
    let backend = Backend::http("web-0", ANY_PORT.into()).await;
    cluster.pod("demo", "web-0", backend.address);
    cluster.service("demo", "web", 80, &[("web-0", backend.address)]);
    cluster.store.token("alice-token", "alice", &["team"]);
    cluster.store.token("bob-token", "bob", &[]);
    cluster
        .store
        .token("root-token", "root", &["system:masters"]);
    cluster.allow("alice", "demo", "services/proxy", &["get", "create"]);
    (cluster, backend)
}

impl Setting {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::logging_to(AccessLog::off(), change).await
    }

    async fn logging_to(access: AccessLog, change: impl FnOnce(&mut Config)) -> Self {
        let (cluster, backend) = sample_cluster().await;
        let mut config = config(&cluster);
        change(&mut config);
        let server = Server::build(config, access).await.unwrap();
        let (address, tasks) = (server.address(), server.tasks());
        let running = tokio::spawn(server.run_until_ended());
        let setting = Self {
            cluster,
            backend,
            address,
            tasks,
            running,
        };
        setting
            .until("it is ready", async |s| {
                s.client("").get("/readyz").await.status.is_success()
            })
            .await;
        setting
    }

    fn client(&self, user: &str) -> Client {
        let client = Client::new(self.address, None);
        if user.is_empty() {
            client
        } else {
            client.with_token(&format!("{user}-token"))
        }
    }

    async fn get(&self, user: &str, path: &str) -> ClientResponse {
        self.client(user).get(path).await
    }

    async fn assert_alice_is_served(&self) {
        let response = self.get("alice", &service("web", "/")).await;
        assert!(response.status.is_success(), "{response:?}");
    }

    /// Asks again and again until something has become true.
    async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        until(what, async || holds(self).await).await;
    }

    async fn end(self) {
        self.tasks.end(Duration::ZERO, Duration::from_secs(5)).await;
        self.running.await.unwrap();
    }
}

fn service(name: &str, path: &str) -> String {
    format!("/apis/throughway.dev/v1/namespaces/demo/services/{name}/proxy{path}")
}

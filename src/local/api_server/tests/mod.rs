//! Every form of credential reaches a TLS server on loopback, which says what arrived there.

#![allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's tasks, files and connections are not for tests"
)]

mod certificates;
mod credentials;
mod files;
pub(crate) mod fuzz;
mod loading;
mod oidc;
mod plugin;
mod plugin_output;
mod proxies;
mod server;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;

use super::clock::Clock;
use super::credentials::kuberc::Kuberc;
use super::kubeconfig::discover::KubeconfigPaths;
use super::kubeconfig::in_cluster::InClusterConfig;
use super::kubeconfig::load::Environment;
use super::transport::proxy;
use super::{ApiServer, ConfigError, ConnectionPurpose};
use crate::lifecycle::Tasks;
use crate::local::config::ClusterOptions;

/// A folder of this test's own, which goes away with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("throughway-api-server-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A clock that goes on only when it is told to.
#[derive(Clone)]
struct Hand {
    start: SystemTime,
    seconds: Arc<AtomicU64>,
}

impl Hand {
    fn new() -> Self {
        Self {
            start: SystemTime::now(),
            seconds: Arc::default(),
        }
    }

    fn forward(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    fn now(&self) -> SystemTime {
        self.start + Duration::from_secs(self.seconds.load(Ordering::SeqCst))
    }

    fn clock(&self) -> Clock {
        let hand = self.clone();
        Clock::of(move || hand.now())
    }
}

/// An environment with nothing in it.
fn nothing() -> Environment {
    Environment {
        paths: KubeconfigPaths {
            listed: None,
            home: None,
        },
        pod: InClusterConfig {
            host: None,
            port: None,
            namespace: None,
            folder: PathBuf::from("/nonexistent"),
        },
        proxies: proxy::ProxyEnvironment::default(),
        clock: Clock::of_system(),
        kuberc: Kuberc::Off,
        tasks: Tasks::new(),
        master: None,
    }
}

fn options(kubeconfig: &Path) -> ClusterOptions {
    ClusterOptions {
        kubeconfig: Some(kubeconfig.to_owned()),
        ..ClusterOptions::default()
    }
}

/// A kubeconfig of one cluster and one user; `cluster` and `user` are the YAML of their fields, in braces.
fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: here
contexts:
- name: here
  context: {{cluster: there, user: me, namespace: mine}}
clusters:
- name: there
  cluster: {cluster}
users:
- name: me
  user: {user}
"
    )
}

async fn load(folder: &Folder, cluster: &str, user: &str) -> Result<ApiServer, ConfigError> {
    load_at(folder, cluster, user, &Hand::new()).await
}

async fn load_at(
    folder: &Folder,
    cluster: &str,
    user: &str,
    hand: &Hand,
) -> Result<ApiServer, ConfigError> {
    let path = folder.write("config", kubeconfig(cluster, user));
    let environment = Environment {
        clock: hand.clock(),
        ..nothing()
    };
    ApiServer::load_in(&options(&path), environment).await
}

/// One request over a connection of its own, as the product makes it.
async fn ask(api_server: &ApiServer) {
    let mut headers = HeaderMap::new();
    api_server.authorize(&mut headers).await.unwrap();
    send(api_server, headers).await;
}

async fn send(api_server: &ApiServer, headers: HeaderMap) {
    let connected = api_server
        .connect(ConnectionPurpose::Upgrade)
        .await
        .unwrap();
    assert!(!connected.speaks_http2);
    let io = TokioIo::new(connected.io);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let mut request = http::Request::get("/").body(Empty::<&[u8]>::new()).unwrap();
    *request.headers_mut() = headers;
    let (response, _) = tokio::join!(
        async {
            let response = sender.send_request(request).await;
            drop(sender);
            response
        },
        connection
    );
    assert_eq!(response.unwrap().status(), 200);
}

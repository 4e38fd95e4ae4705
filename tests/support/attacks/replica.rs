//! One replica as a process, with the defaults of the product but for one, and the backends of its attackers.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::process::{Child, Command};

use super::bodies;
use crate::backend::Backend;
use crate::client::{Client, request};
use crate::cluster::EmbeddedCluster;
use crate::hostile::Hostile;
use crate::until;

const ADDRESS: &str = "10.77.0.5:8443";

/// Where the backends of the first one listen; those of the next have the next port.
const CALM: [u8; 4] = [10, 77, 0, 24];
const DEAF: [u8; 4] = [10, 77, 0, 25];
const HOSTILE: [u8; 4] = [10, 77, 0, 26];
const FIRST_PORT: u16 = 8080;
static STARTED: AtomicU16 = AtomicU16::new(0);

/// The namespace of the attacker, and of who has nothing to do with the attack.
const NAMESPACE: &str = "attacks";

/// A running one, alone in front of its cluster; it ends when this is dropped.
#[derive(Debug)]
pub struct Replica {
    pub pid: u32,
    pub address: SocketAddr,
    pub cluster: EmbeddedCluster,
    child: Child,
    _backends: (Backend, Hostile, Hostile),
}

impl Drop for Replica {
    /// The next one may want the same address, so this one has to be gone.
    fn drop(&mut self) {
        self.kill();
    }
}

impl Replica {
    /// Starts one with its cluster's kubeconfig in a folder, and waits until it is ready.
    pub async fn start(dir: &Path) -> Self {
        let cluster = EmbeddedCluster::start(dir).await;
        // Those of one that was dropped may still be there.
        let port = FIRST_PORT + STARTED.fetch_add(1, Ordering::Relaxed);
        let at = |ip: [u8; 4]| SocketAddr::from((ip, port));
        let backends = (
            Backend::http("calm-0", at(CALM)).await,
            Hostile::never_reads(at(DEAF)),
            Hostile::misbehaves(at(HOSTILE), bodies::all().await),
        );
        for (name, ip) in [("calm", CALM), ("deaf", DEAF), ("hostile", HOSTILE)] {
            let (pod, address) = (format!("{name}-0"), at(ip));
            cluster.pod(NAMESPACE, &pod, address);
            cluster.service(NAMESPACE, name, 80, &[(&pod, address)]);
        }
        for user in ["mallory", "trudy", "bystander"] {
            cluster.store.token(&format!("{user}-token"), user, &[]);
            cluster.allow(user, NAMESPACE, "services/proxy", &["get", "create"]);
        }
        cluster
            .store
            .token("root-token", "root", &["system:masters"]);
        let address: SocketAddr = ADDRESS.parse().unwrap();
        let child = command(&cluster, address).spawn().unwrap();
        let replica = Self {
            pid: child.id().unwrap(),
            address,
            cluster,
            child,
            _backends: backends,
        };
        replica.until_ready().await;
        replica
    }

    /// A new process in place of this one.
    pub async fn restart(&mut self) {
        self.kill();
        self.child = command(&self.cluster, self.address).spawn().unwrap();
        self.pid = self.child.id().unwrap();
        self.until_ready().await;
    }

    fn kill(&mut self) {
        self.child.start_kill().unwrap();
        while self.child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
    }

    async fn until_ready(&self) {
        until("ready", async || {
            let asked = request("GET", "/readyz", &[], "");
            let response = self.bystander().try_ask(asked).await;
            response.is_some_and(|response| response.status.is_success())
        })
        .await;
    }

    /// Has no part in any attack.
    pub fn bystander(&self) -> Client {
        Client::new(self.address, None).with_token("bystander-token")
    }

    /// Asks for a path of the calm Service, which has to answer.
    pub async fn ask_calmly(&self) {
        let response = self.bystander().get(&service("calm", "/")).await;
        assert_eq!(response.status, 200, "{}", response.text());
    }

    /// Over HTTP/1.1, with sockets that take little before the other side has to wait.
    pub fn mallory(&self) -> Client {
        self.bystander()
            .with_token("mallory-token")
            .with_small_buffers()
    }

    /// Over HTTP/2.
    pub fn mallory_http2(&self) -> Client {
        Client::offering(self.address, b"h2").with_token("mallory-token")
    }

    /// The same, for who works together with mallory.
    pub fn trudy_http2(&self) -> Client {
        self.mallory_http2().with_token("trudy-token")
    }

    /// Nobody that is known, at an address.
    pub fn stranger(&self, from: IpAddr) -> Client {
        Client::new(self.address, None).at_address(from)
    }

    /// kube-apiserver, whose connections carry everybody's requests.
    pub fn front_proxy(&self, protocol: &[u8]) -> Client {
        let identity = self.cluster.front_proxy_ca.issue("front-proxy-client");
        Client::presenting(self.address, identity, protocol)
    }
}

fn command(cluster: &EmbeddedCluster, address: SocketAddr) -> Command {
    let mut command = Command::new(crate::program());
    command
        .arg("serve")
        .arg(format!("--bind-address={}", address.ip()))
        .arg(format!("--secure-port={}", address.port()))
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        // A caller over HTTP/1 who leaves in the middle of an upload that stalls is noticed only then.
        .arg("--exchange-idle-timeout=5s")
        .arg("--log=error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    command
}

/// A path of a Service of the attacks.
pub fn service(name: &str, path: &str) -> String {
    format!("/apis/throughway.dev/v1/namespaces/{NAMESPACE}/services/{name}/proxy{path}")
}

//! The one control plane of this test binary, with Throughway installed and sample pods in it.

pub mod node;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::backend::Backend;
use crate::client::Client;
use crate::tls::Identity;
use crate::{repository, target};

/// Where kube-apiserver listens.
pub const API_SERVER: &str = "10.77.0.1:6443";

/// The plain backends' addresses: two pods of the Services, and a third that is never ready.
pub const WEB: [&str; 2] = ["10.77.0.30:8080", "10.77.0.31:8080"];
const UNREADY: &str = "10.77.0.32:8080";
const SECURE: &str = "10.77.0.33:8443";
const SOLO: &str = "10.77.0.34:8080";
const RAW: &str = "10.77.0.35:8080";

/// The namespace of the sample pods.
pub const DEMO: &str = "demo";

/// Everything that runs for the tests.
#[derive(Debug)]
pub struct Cluster {
    dir: PathBuf,
    control_plane: std::sync::Mutex<Child>,
    pub backends: Vec<Backend>,
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| RUNTIME.block_on(Cluster::start()));

/// Tests that leave the cluster as it is run together, one that does not runs alone.
static USE: LazyLock<tokio::sync::RwLock<()>> = LazyLock::new(tokio::sync::RwLock::default);

/// No test waits longer than this.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a test on the cluster that all tests share.
pub fn on_cluster<F: Future<Output = ()>>(test: impl FnOnce(&'static Cluster) -> F) {
    let cluster = &*CLUSTER;
    RUNTIME.block_on(async {
        let _together = USE.read().await;
        tokio::time::timeout(LIMIT, test(cluster))
            .await
            .expect("the test hangs");
    });
}

/// Runs a test that nobody else's can bear.
pub fn alone_on_cluster<F: Future<Output = ()>>(test: impl FnOnce(&'static Cluster) -> F) {
    let cluster = &*CLUSTER;
    RUNTIME.block_on(async {
        let _alone = USE.write().await;
        tokio::time::timeout(LIMIT, test(cluster))
            .await
            .expect("the test hangs");
    });
}

/// Where processes leave what they say.
pub fn logs_dir() -> PathBuf {
    let logs = target().join("controlplane/logs");
    std::fs::create_dir_all(&logs).unwrap();
    logs
}

/// Runs a test that measures a process of its own: without the cluster, and while no other test runs.
pub fn alone_without_cluster<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    RUNTIME.block_on(async {
        let _alone = USE.write().await;
        tokio::time::timeout(LIMIT, test())
            .await
            .expect("the test hangs");
    });
}

fn binary() -> PathBuf {
    let path = target().join("controlplane/controlplane");
    assert!(
        path.exists(),
        "{} is missing: make test builds it",
        path.display()
    );
    path
}

impl Cluster {
    pub async fn start() -> Self {
        assert_eq!(
            std::env::var("IN_TEST_NAMESPACE").as_deref(),
            Ok("yes"),
            "these tests run inside tests/control_plane_binary/in-namespace.sh; make test does that"
        );
        let dir = PathBuf::from("/run/control-plane");
        std::fs::create_dir_all(&dir).unwrap();
        let control_plane = std::sync::Mutex::new(start_control_plane(&dir));
        let mut cluster = Self {
            dir,
            control_plane,
            backends: Vec::new(),
        };
        cluster.backends = backends().await;
        cluster
            .apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node::NODE}}));
        tokio::spawn(node::run(
            cluster.client().await,
            "throughway",
            API_SERVER.parse().unwrap(),
        ));
        cluster.install();
        cluster.samples().await;
        cluster
    }

    /// A file of the control plane, such as a CA's key.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn manifests(&self) -> String {
        repository("manifests").display().to_string()
    }

    /// Applies the manifests, gives the pods their ServiceAccount, and waits until kube-apiserver trusts the server.
    pub fn install(&self) {
        let manifests = self.manifests();
        let file = |name: &str| format!("{manifests}/{name}");
        self.kubectl(&[
            "apply",
            "-f",
            &file("00-namespace.yaml"),
            "-f",
            &file("10-access.yaml"),
        ]);
        let mounted = Path::new("/run/secrets/kubernetes.io/serviceaccount");
        std::fs::create_dir_all(mounted).unwrap();
        let token = self.kubectl(&[
            "create",
            "token",
            "throughway",
            "-n",
            "throughway",
            "--duration=8h",
        ]);
        std::fs::write(mounted.join("token"), token.trim()).unwrap();
        std::fs::write(mounted.join("namespace"), "throughway").unwrap();
        std::fs::copy(self.dir.join("ca.crt"), mounted.join("ca.crt")).unwrap();
        self.kubectl(&["apply", "-f", &manifests]);
        self.wait_until_available();
    }

    pub fn wait_until_available(&self) {
        self.kubectl(&[
            "wait",
            "--for=condition=Available",
            "apiservice/v1.throughway.dev",
            "--timeout=90s",
        ]);
        self.kubectl(&[
            "rollout",
            "status",
            "deployment/throughway",
            "-n",
            "throughway",
            "--timeout=90s",
        ]);
    }

    async fn samples(&self) {
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": DEMO}}));
        self.kubectl(&[
            "wait",
            "--for=create",
            "serviceaccount/default",
            "-n",
            DEMO,
            "--timeout=30s",
        ]);
        for (name, app, address) in [
            ("web-0", "web", WEB[0]),
            ("web-1", "web", WEB[1]),
            ("unready-0", "unready", UNREADY),
            ("secure-0", "secure", SECURE),
            ("solo-0", "solo", SOLO),
            ("raw-0", "raw", RAW),
        ] {
            self.pod(name, app, address.parse().unwrap(), app != "unready")
                .await;
        }
        let http = json!([{"name": "http", "port": 80, "targetPort": 8080}]);
        self.service("web", "web", &http);
        self.service("bare", "web", &json!([{"port": 80, "targetPort": 8080}]));
        self.service("two", "web", &json!([{"name": "http", "port": 80, "targetPort": 8080}, {"name": "other", "port": 81, "targetPort": 8081}]));
        self.service("solo", "solo", &http);
        self.service("raw", "raw", &http);
        self.service(
            "datagrams",
            "solo",
            &json!([{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 8080}]),
        );
        self.service("unready", "unready", &http);
        self.service("empty", "nobody", &http);
        self.service(
            "secure",
            "secure",
            &json!([{"name": "https", "port": 443, "targetPort": 8443}]),
        );
        for service in ["web", "bare", "two", "secure", "solo", "raw", "datagrams"] {
            self.kubectl(&[
                "wait",
                "--for=jsonpath={.endpoints[0].conditions.ready}=true",
                "endpointslice",
                "-l",
                &format!("kubernetes.io/service-name={service}"),
                "-n",
                DEMO,
                "--timeout=30s",
            ]);
        }
    }

    /// A pod of the hand-made node, which a test's own process answers for.
    pub async fn pod(&self, name: &str, app: &str, address: SocketAddr, ready: bool) {
        self.apply(&json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": DEMO, "labels": {"app": app}},
            "spec": {"nodeName": node::NODE, "terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "none",
                "ports": [{"name": "web", "containerPort": address.port()}]}]}}));
        let pods: Api<Pod> = Api::namespaced(self.client().await, DEMO);
        node::say(&pods, name, address.ip(), ready).await;
    }

    pub fn service(&self, name: &str, app: &str, ports: &Value) {
        self.apply(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": DEMO},
            "spec": {"selector": {"app": app}, "ports": ports}}));
    }

    pub fn apply(&self, object: &Value) {
        let mut kubectl = self
            .command(&["apply", "-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        kubectl
            .stdin
            .take()
            .unwrap()
            .write_all(object.to_string().as_bytes())
            .unwrap();
        assert!(kubectl.wait().unwrap().success(), "{object}");
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .arg("kubectl")
            .args(arguments)
            .env("KUBECONFIG", self.dir.join("admin.kubeconfig"));
        command
            .env("HOME", &self.dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs kubectl and returns what it printed; it must succeed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(arguments).output().unwrap();
        assert!(
            status.success(),
            "kubectl {arguments:?}: {}",
            String::from_utf8_lossy(&stderr)
        );
        String::from_utf8(stdout).unwrap()
    }

    /// Runs kubectl and returns what it complained of; it must fail.
    pub fn kubectl_refused(&self, arguments: &[&str]) -> String {
        let Output { status, stderr, .. } = self.command(arguments).output().unwrap();
        assert!(!status.success(), "kubectl {arguments:?} succeeded");
        String::from_utf8(stderr).unwrap()
    }

    /// The administrator's.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.kubeconfig")
    }

    pub async fn client(&self) -> kube::Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        kube::Client::try_from(config).unwrap()
    }

    /// Speaks to kube-apiserver as its administrator.
    pub fn admin(&self) -> Client {
        Client::new(API_SERVER.parse().unwrap(), Some(self.certificate("admin")))
    }

    /// Speaks to kube-apiserver without a certificate.
    pub fn stranger(&self) -> Client {
        Client::new(API_SERVER.parse().unwrap(), None)
    }

    fn certificate(&self, name: &str) -> Identity {
        let chain = CertificateDer::pem_file_iter(self.dir.join(format!("{name}.crt"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.dir.join(format!("{name}.key"))).unwrap();
        (chain.collect::<Result<_, _>>().unwrap(), key)
    }

    /// The token of a ServiceAccount of the demo namespace, made if it is missing, without any right.
    pub fn account(&self, name: &str) -> String {
        self.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": DEMO}}));
        self.kubectl(&["create", "token", name, "-n", DEMO])
            .trim()
            .to_owned()
    }

    /// Whether the control plane is still there.
    pub fn assert_alive(&self) {
        assert!(
            self.control_plane
                .lock()
                .unwrap()
                .try_wait()
                .unwrap()
                .is_none(),
            "the control plane ended"
        );
    }
}

fn start_control_plane(dir: &Path) -> Child {
    let mut child = Command::new(binary())
        .args(["run", "--dir", dir.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(
        line.trim(),
        "ready",
        "the control plane does not start; its logs are in {}",
        dir.display()
    );
    child
}

async fn backends() -> Vec<Backend> {
    vec![
        Backend::http("web-0", WEB[0].parse().unwrap()).await,
        Backend::http("web-1", WEB[1].parse().unwrap()).await,
        Backend::http("unready-0", UNREADY.parse().unwrap()).await,
        Backend::http("solo-0", SOLO.parse().unwrap()).await,
        Backend::raw(RAW.parse().unwrap()).await,
        Backend::https("secure-0", SECURE.parse().unwrap()).await,
    ]
}

//! One dashboard: its process on a pod's address, its pod and Service, and the way to it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::json;
use throughway_testing::companion::Companion;
use throughway_testing::control_plane::{Cluster, DEMO};
use throughway_testing::target;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Every dashboard listens here, on an address of its own.
const PORT: u16 = 8000;

/// No dashboard starts slower, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// What is asked now and then while something comes up.
const INTERVAL: Duration = Duration::from_millis(100);

/// A dashboard of `tests/apps`.
#[derive(Debug, Clone, Copy)]
pub struct Dashboard {
    /// Its folder in `tests/apps`.
    pub app: &'static str,
    /// The name of its pod and Service.
    pub name: &'static str,
    /// The last part of its pod's address.
    pub host: u8,
    pub prefix: Prefix,
}

/// Who knows of the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// The dashboard lives at `/` and knows of none.
    Unknown,
    /// The dashboard is told its prefix, and its Service says `throughway.dev/prefix: keep`.
    Known,
}

/// How `throughway local` reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyMode {
    Throughway,
    BuiltIn,
}

/// The processes of a dashboard, which end when this is dropped, or with the namespace.
#[derive(Debug)]
pub struct Running {
    child: Child,
    address: String,
}

impl Dashboard {
    /// One that knows of no prefix.
    pub const fn new(name: &'static str, host: u8) -> Self {
        Self {
            app: name,
            name,
            host,
            prefix: Prefix::Unknown,
        }
    }

    /// Path up to the inside of the dashboard, as the API server has it.
    fn path(&self) -> String {
        format!(
            "/apis/throughway.dev/v1/namespaces/{DEMO}/services/{}:80/proxy",
            self.name
        )
    }

    /// What the dashboard itself has in front of its paths.
    pub fn own_prefix(&self) -> String {
        match self.prefix {
            Prefix::Unknown => String::new(),
            Prefix::Known => self.path(),
        }
    }

    /// Its address through `kubectl proxy`, with the slash at the end.
    pub fn proxied(&self, cluster: &Cluster) -> String {
        format!("{}{}/", kubectl_proxy(cluster), self.path())
    }

    /// Its address at an origin of its own, with the slash at the end.
    pub fn target_origin(&self, cluster: &Cluster, mode: ProxyMode) -> String {
        let name = format!("{}.{DEMO}.svc", self.name);
        format!("{}/", mode.companion(cluster).origin(&name))
    }

    /// Starts it, with an empty directory as its home, and waits until it listens.
    pub async fn start(&self) -> Running {
        let files =
            PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/apps")).join(self.app);
        let installed = target().join("apps/venv/bin");
        assert!(
            installed.exists(),
            "{} is missing: make test installs it",
            installed.display()
        );
        let home = PathBuf::from("/run/apps").join(self.name);
        std::fs::create_dir_all(&home).unwrap();
        let logs = target().join("apps/logs");
        std::fs::create_dir_all(&logs).unwrap();
        let log = logs.join(format!("{}.txt", self.name));
        let file = File::create(&log).unwrap();
        let address = format!("10.77.0.{}", self.host);
        let child = Command::new(files.join("start.sh"))
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", installed.display()),
            )
            .env("HOME", &home)
            .env("LANG", "C.UTF-8")
            .env("APP", &files)
            .env("ADDRESS", &address)
            .env("PORT", PORT.to_string())
            .env("PREFIX", self.own_prefix())
            .current_dir(&home)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap();
        let mut running = Running {
            child,
            address: format!("{address}:{PORT}"),
        };
        let came = timeout(LIMIT, running.listens()).await;
        assert!(
            came == Ok(true),
            "{} does not start, see {}",
            self.name,
            log.display()
        );
        running
    }

    /// Makes its pod and Service, and waits until Throughway knows them.
    pub async fn register(&self, cluster: &Cluster) {
        let address = format!("10.77.0.{}:{PORT}", self.host).parse().unwrap();
        cluster.pod(self.name, self.name, address, true).await;
        let annotations = match self.prefix {
            Prefix::Unknown => json!({}),
            Prefix::Known => json!({"throughway.dev/prefix": "keep"}),
        };
        cluster.apply(&json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": self.name, "namespace": DEMO, "annotations": annotations},
            "spec": {"selector": {"app": self.name}, "ports": [{"name": "http", "port": 80, "targetPort": PORT}]}}));
        let known = async {
            let path = format!("{}/", self.path());
            loop {
                let response = cluster.admin().get(&path).await;
                // A dashboard may have a 404 of its own; Throughway's and kube-apiserver's are a Status.
                let refused =
                    response.status.is_client_error() || response.status.is_server_error();
                if !(refused && response.text().contains(r#""kind":"Status""#)) {
                    return;
                }
                sleep(INTERVAL).await;
            }
        };
        timeout(LIMIT, known)
            .await
            .expect("a Service with an endpoint");
    }
}

impl ProxyMode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Throughway => "throughway",
            Self::BuiltIn => "built-in",
        }
    }

    /// The one `throughway local` of all dashboards that are reached this way; it ends with the namespace.
    fn companion(self, cluster: &Cluster) -> &'static Companion {
        static COMPANIONS: [OnceLock<Companion>; 2] = [const { OnceLock::new() }; 2];
        let companion = match self {
            Self::Throughway => &COMPANIONS[0],
            Self::BuiltIn => &COMPANIONS[1],
        };
        let via = format!("--via={}", self.name());
        companion.get_or_init(|| Companion::start(&cluster.kubeconfig(), &[via]))
    }
}

impl Running {
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until it listens; false when it ended instead.
    async fn listens(&mut self) -> bool {
        while TcpStream::connect(&self.address).await.is_err() {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            sleep(INTERVAL).await;
        }
        true
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        // Whatever is left of it ends with the namespace.
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// The origin of the one `kubectl proxy` of all dashboards.
fn kubectl_proxy(cluster: &Cluster) -> &'static str {
    static PROXY: OnceLock<(Child, String)> = OnceLock::new();
    let (_, origin) = PROXY.get_or_init(|| {
        let mut child = cluster
            .command(&["proxy", "--port=0"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("Starting to serve on ")
            .expect("its address");
        (child, format!("http://{address}"))
    });
    origin
}

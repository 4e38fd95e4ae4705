//! `kubectl proxy` and `throughway local`, started with the same flags.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use throughway_testing::control_plane::Cluster;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};

use super::raw::{self, Heard, Stream};

/// No process takes longer to serve, or to say why it does not.
const LIMIT: Duration = Duration::from_secs(30);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Kubectl,
    Ours,
}

pub const BOTH: [Side; 2] = [Side::Kubectl, Side::Ours];

/// A process that serves, until this is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// What it printed first, `Starting to serve on …`.
    pub line: String,
    child: Child,
}

/// How a process that does not serve ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub errors: String,
}

/// Both, with the same flags.
#[derive(Debug)]
pub struct Pair {
    pub kubectl: Proxy,
    pub ours: Proxy,
}

impl Side {
    pub fn command(self, cluster: &Cluster, flags: &[&str]) -> Command {
        let mut command = match self {
            Self::Kubectl => {
                let mut arguments = vec!["proxy"];
                arguments.extend(flags);
                Command::from(cluster.command(&arguments))
            }
            Self::Ours => {
                let mut command = Command::new(throughway_testing::program());
                command.arg("local").args(flags);
                command.env("KUBECONFIG", cluster.kubeconfig());
                command
            }
        };
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts it and waits until it serves.
    pub async fn serve(self, cluster: &Cluster, flags: &[&str]) -> Proxy {
        let mut child = self.command(cluster, flags).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LIMIT, lines.next_line())
            .await
            .unwrap_or_else(|_| panic!("{self:?} {flags:?} prints nothing"))
            .unwrap();
        let Some(line) = line else {
            let mut errors = String::new();
            let _ = child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut errors)
                .await;
            panic!("{self:?} {flags:?} does not serve: {errors}");
        };
        // What it prints later must not stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let mut errors = child.stderr.take().unwrap();
        tokio::spawn(async move { tokio::io::copy(&mut errors, &mut tokio::io::sink()).await });
        Proxy { line, child }
    }

    /// Starts it and waits until it ends by itself.
    pub async fn end(self, cluster: &Cluster, flags: &[&str]) -> Ended {
        let output = self.command(cluster, flags).output();
        let output = tokio::time::timeout(LIMIT, output)
            .await
            .unwrap_or_else(|_| panic!("{self:?} {flags:?} does not end"))
            .unwrap();
        Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Proxy {
    /// Where it says that it serves.
    pub fn address(&self) -> &str {
        let address = self.line.strip_prefix("Starting to serve on ");
        address.unwrap_or_else(|| panic!("no address: {}", self.line))
    }

    pub async fn connect(&self) -> Box<dyn Stream> {
        let address = self.address();
        if address.starts_with('/') {
            return Box::new(UnixStream::connect(Path::new(address)).await.unwrap());
        }
        Box::new(TcpStream::connect(address).await.unwrap())
    }

    /// Sends a request over a connection of its own.
    pub async fn ask(&self, request: &[u8]) -> Heard {
        raw::ask(&mut *self.connect().await, request).await
    }

    /// Waits until it ends.
    pub async fn ended(mut self) {
        tokio::time::timeout(LIMIT, self.child.wait())
            .await
            .expect("it ends")
            .unwrap();
    }

    /// Ends it, and leaves its port free.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }
}

impl Pair {
    /// Starts both on free ports.
    pub async fn serve(cluster: &Cluster, flags: &[&str]) -> Self {
        let flags = [&["--port=0"], flags].concat();
        let (kubectl, ours) = tokio::join!(
            Side::Kubectl.serve(cluster, &flags),
            Side::Ours.serve(cluster, &flags)
        );
        Self { kubectl, ours }
    }

    /// Sends both the same request.
    pub async fn ask(&self, request: &[u8]) -> (Heard, Heard) {
        let (kubectl, ours) = tokio::join!(self.kubectl.ask(request), self.ours.ask(request));
        (kubectl.compared(), ours.compared())
    }
}

/// A folder that goes with the test.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("throughway-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

//! The two that are compared: `throughway local` and `kubectl proxy`, each a process on a free port of loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A process that ends with this.
#[derive(Debug)]
pub struct Companion {
    pub pid: u32,
    pub address: SocketAddr,
    /// From the start of the process to the end of its first response.
    pub first_response: Duration,
    /// Requests of a round, so that it takes a few seconds.
    pub requests: u32,
    _child: Child,
}

impl Companion {
    pub async fn throughway(kubeconfig: &Path) -> Self {
        let mut command = Command::new(throughway_testing::program());
        command.args(["local", "--port=0", "--kubeconfig"]);
        Self::start(command, kubeconfig, 60_000).await
    }

    pub async fn kubectl(kubeconfig: &Path) -> Self {
        let binary = std::env::var("KUBECTL").expect("make bench names kubectl");
        let mut command = Command::new(binary);
        command.args(["proxy", "--port=0", "--kubeconfig"]);
        Self::start(command, kubeconfig, 15_000).await
    }

    async fn start(mut command: Command, kubeconfig: &Path, requests: u32) -> Self {
        let start = Instant::now();
        let mut child = command
            .arg(kubeconfig)
            .env_remove("KUBECONFIG")
            .env("HOME", crate::peers::dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).await.unwrap();
        let address = line.trim().strip_prefix("Starting to serve on ").unwrap();
        let address = address.parse().unwrap();
        let response = ask(address, &format!("{address}"), "/api").await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        Self {
            pid: child.id().unwrap(),
            address,
            first_response: start.elapsed(),
            requests,
            _child: child,
        }
    }
}

/// One request over a connection of its own, until that is closed.
pub async fn ask(address: SocketAddr, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    String::from_utf8(response).unwrap()
}

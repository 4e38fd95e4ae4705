//! A running `throughway local`, and a plain HTTP client that names any Host to it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::client::ClientResponse;

/// The process, which ends when this is dropped.
#[derive(Debug)]
pub struct Companion {
    child: Child,
    pub address: SocketAddr,
    /// What it printed after its address.
    out: BufReader<std::process::ChildStdout>,
}

impl Companion {
    /// Starts it on a free port, with the flags given, and waits until it serves.
    pub fn start<S: AsRef<OsStr>>(kubeconfig: &Path, flags: &[S]) -> Self {
        Self::start_with(kubeconfig, flags, Stdio::inherit())
    }

    /// The same, with a place for what it logs.
    pub fn start_with<S: AsRef<OsStr>>(kubeconfig: &Path, flags: &[S], stderr: Stdio) -> Self {
        let mut command = Self::command(kubeconfig, flags);
        command.stderr(stderr);
        Self::of(command)
    }

    /// How it is started on a free port.
    pub fn command<S: AsRef<OsStr>>(kubeconfig: &Path, flags: &[S]) -> Command {
        let mut command = Command::new(crate::program());
        command
            .args(["local", "--port=0", "--kubeconfig"])
            .arg(kubeconfig)
            .args(flags)
            .env_remove("KUBECONFIG");
        command
    }

    /// Runs it, and waits until it serves.
    pub fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("its first line");
        let address = line
            .trim()
            .strip_prefix("Starting to serve on ")
            .unwrap_or_else(|| panic!("no address: {line:?}"));
        let address = address.parse().expect("an address");
        Self {
            child,
            address,
            out,
        }
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// The Host of a target: `web.demo.svc` becomes `web.demo.svc.localhost:PORT`.
    pub fn host(&self, name: &str) -> String {
        format!("{name}.localhost:{}", self.address.port())
    }

    /// The origin of a target, as a browser has it.
    pub fn origin(&self, name: &str) -> String {
        format!("http://{}", self.host(name))
    }

    /// Sends a request to a Host, and returns the response with its body still to come.
    pub async fn send(
        &self,
        host: &str,
        request: Request<Full<Bytes>>,
    ) -> http::Response<Incoming> {
        send(self.address, host, request).await
    }

    /// Sends a request to a Host, and waits for the whole response.
    pub async fn ask(&self, host: &str, request: Request<Full<Bytes>>) -> ClientResponse {
        whole(self.send(host, request).await).await
    }

    /// Sends what a browser or tool would, to the API's own host.
    pub async fn ask_api(&self, request: Request<Full<Bytes>>) -> ClientResponse {
        let host = format!("localhost:{}", self.address.port());
        self.ask(&host, request).await
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request over a connection of its own.
pub async fn send(
    address: SocketAddr,
    host: &str,
    mut request: Request<Full<Bytes>>,
) -> http::Response<Incoming> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .handshake(TokioIo::new(stream))
        .await
        .expect("a connection");
    tokio::spawn(connection.with_upgrades());
    let host = HeaderValue::from_str(host).expect("a host");
    request.headers_mut().insert("host", host);
    sender.send_request(request).await.expect("an answer")
}

/// Waits for a response's body.
pub async fn whole(response: http::Response<Incoming>) -> ClientResponse {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    ClientResponse {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

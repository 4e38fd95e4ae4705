//! One bounded load by h2load: HTTP/2 over TLS, or HTTP/1.1 in the clear.

use std::net::SocketAddr;

use throughway_testing::process;
use tokio::process::Command;

/// What is asked, and how often.
#[derive(Debug, Clone)]
pub struct Load {
    pub requests: u32,
    pub connections: u32,
    pub streams: u32,
    pub token: String,
    pub url: String,
    /// Where to, whatever the URL names, and in the clear.
    pub plain_to: Option<SocketAddr>,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub requests_a_second: f64,
    /// CPU seconds of the process that was looked at, for the whole load.
    pub cpu: f64,
}

impl Load {
    /// Many small requests: 8 connections, 64 at a time in all.
    pub fn small(url: &str, token: &str, requests: u32) -> Self {
        Self {
            requests,
            connections: 8,
            streams: 8,
            token: token.to_owned(),
            url: url.to_owned(),
            plain_to: None,
        }
    }

    /// Many small requests by HTTP/1.1 in the clear, 32 at a time, as a tool's or a browser's kept connections carry
    /// them.
    pub fn plain(address: SocketAddr, host: &str, path: &str, requests: u32) -> Self {
        Self {
            connections: 32,
            streams: 1,
            plain_to: Some(address),
            ..Self::small(&format!("http://{host}{path}"), "", requests)
        }
    }

    /// Downloads one after the other over one connection.
    pub fn bulk(url: &str, token: &str, downloads: u32) -> Self {
        Self {
            connections: 1,
            streams: 1,
            ..Self::small(url, token, downloads)
        }
    }

    fn speech(&self) -> Vec<String> {
        match self.plain_to {
            Some(address) => vec!["--h1".to_owned(), format!("--connect-to={address}")],
            None => vec![
                "-H".to_owned(),
                format!("authorization: Bearer {}", self.token),
            ],
        }
    }

    /// Runs it and looks at what a process used meanwhile. Every request must succeed.
    pub async fn run(&self, pid: u32) -> Outcome {
        let before = process::cpu(pid);
        let output = Command::new("h2load")
            .args(["-t", "1", "-n", &self.requests.to_string()])
            .args([
                "-c",
                &self.connections.to_string(),
                "-m",
                &self.streams.to_string(),
            ])
            .args(self.speech())
            .arg(&self.url)
            .output()
            .await
            .unwrap();
        let cpu = process::cpu(pid) - before;
        let said = String::from_utf8_lossy(&output.stdout);
        let all = format!("status codes: {} 2xx", self.requests);
        assert!(said.contains(&all), "{}: {said}", self.url);
        let rate = said
            .lines()
            .find_map(|line| {
                line.strip_prefix("finished in ")?
                    .split(", ")
                    .nth(1)?
                    .strip_suffix(" req/s")
            })
            .unwrap_or_else(|| panic!("{said}"));
        Outcome {
            requests_a_second: rate.parse().unwrap(),
            cpu,
        }
    }
}

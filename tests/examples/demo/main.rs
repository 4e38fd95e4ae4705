//! A demo: a small cluster, sample backends and Throughway in one process, with commands to paste and a
//! dashboard to open. Until Ctrl-C.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets something unexpected ends there"
)]
#![allow(
    clippy::unused_self,
    clippy::too_many_lines,
    reason = "a test's helpers read as what the cluster does"
)]
#![allow(dead_code, reason = "not every helper has a user in every test binary")]
#![allow(unreachable_pub, reason = "helpers are shared between test binaries")]
#![allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's tasks, files and connections are not for tests"
)]

mod dashboard;
mod demo;
#[cfg(test)]
mod tests;

use throughway::lifecycle::Signals;

use demo::{Demo, Ports};

/// What people expect an API server and kubectl proxy at.
const PORTS: Ports = Ports {
    api: 8443,
    companion: 8001,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    throughway::lifecycle::log::start("warn");
    let mut signals = Signals::listen()?;
    let dir = std::env::temp_dir().join(format!("throughway-demo-{}", std::process::id()));
    let demo = Demo::start(dir, PORTS).await?;
    println!("{}", demo.text());
    signals.next().await;
    demo.end().await
}

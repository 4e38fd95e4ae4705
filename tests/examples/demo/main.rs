//! A demo: a small cluster, sample backends and Throughway in one process, with commands to paste and a
//! dashboard to open. Until Ctrl-C.

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

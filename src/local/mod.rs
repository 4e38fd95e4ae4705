//! `throughway local`: all of kubectl proxy on one's own machine, and an origin of its own for every Service, pod and
//! node.
//!
//! In: a [`config::LocalConfig`] and a kubeconfig. Out: a server on loopback, until Ctrl-C.
//!
//! One request is `pipeline`, top to bottom. `inbound` reads where it came in, which host it names (the API, or a
//! target at an origin of its own) and whether its browser may send it; `kubectl` has kubectl proxy's own rules, paths
//! and files. Targets are reached through Throughway where it is installed and through the built-in proxy elsewhere
//! (`targets`). `upstream` sends requests on to the API server of the kubeconfig, with its credentials (`api_server`).
//! `start_page` has what a person sees.
//!
//! Refuses: what `problem::Problem` lists, each as a page for a browser and as a Status for everybody else.
//!
//! kubectl: `pkg/proxy/proxy_server.go` of k8s.io/kubectl.

mod announce;
mod api_server;
mod browser;
pub mod config;
mod inbound;
mod kubectl;
mod pages;
mod pipeline;
mod problem;
mod server;
mod start_page;
mod targets;
mod temporary_file;
mod terminal;
mod upstream;

pub use inbound::listen::ListenError;
pub use inbound::random_token::NoRandomness;
pub use server::{Companion, LocalStartError};
pub use terminal::NoOutput;

use crate::local::config::LocalConfig;

/// Serves until Ctrl-C, which ends everything at once.
///
/// # Errors
/// The companion could not be started.
pub fn run(config: LocalConfig) -> Result<(), LocalStartError> {
    // One thread carries all of a person's requests; a second one costs each of them a fifth more, to wake the other.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(server::serve(config));
    runtime.shutdown_background();
    served
}

#[cfg(test)]
pub(crate) mod tests;

//! `throughway local`: all of kubectl proxy on one's own machine, and an origin of its own for every Service, pod and node.
//!
//! In: a [`LocalConfig`] and a kubeconfig. Out: a server on loopback, until Ctrl-C.
//!
//! What tools write into a request line and no URL has is escaped first (`request_line`).
//! A request's way is `road`, top to bottom: which `place` its Host names (the API, or a target at an origin of its own),
//! whether it may come from where it comes from (`guard`, `target_access`, and kubectl's rules in `filter`), then on to the API
//! server; what comes from there is no page at the API's origin (`inert`)
//! (`upstream`), with the credentials of the kubeconfig (`api_server`). Targets are reached through Throughway where it is
//! installed and through the built-in proxy elsewhere (`way`). `page` has what a person sees.
//!
//! Refuses: what `problem::Problem` lists, each as a page for a browser and as a Status for everybody else.
//!
//! kubectl: `pkg/proxy/proxy_server.go` of k8s.io/kubectl.

mod announce;
mod api;
mod api_path;
mod api_server;
mod files;
mod filter;
mod guard;
mod inert;
mod leftover;
mod listen;
mod login;
mod open;
mod page;
mod place;
mod plain;
mod problem;
mod proxy_path;
mod request_line;
mod request_path;
mod road;
mod server;
mod target_access;
mod upstream;
mod way;

pub use listen::ListenError;
pub use login::NoRandomness;
pub use server::{Companion, NoOutput, StartError};

use crate::cli::LocalConfig;

/// Serves until Ctrl-C, which ends everything at once.
///
/// # Errors
/// The companion could not be started.
pub fn run(config: LocalConfig) -> Result<(), StartError> {
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

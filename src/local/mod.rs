//! `throughway local`: all of kubectl proxy on one's own machine, and an origin of its own for every Service, pod and node.
//!
//! In: a [`LocalConfig`](crate::config::LocalConfig) and a kubeconfig. Out: a server on loopback, until Ctrl-C.
//!
//! A request's way is [`road`], top to bottom: which `place` its Host names (the API, or a target at an origin of its own),
//! whether it may come from where it comes from (`guard`, and kubectl's rules in `filter`), then on to the API server
//! (`upstream`), with the credentials of the kubeconfig (`api_server`). Targets are reached through Throughway where it is
//! installed and through the built-in proxy elsewhere (`way`). `page` has what a person sees.
//!
//! Refuses: what [`problem::Problem`] lists, each as a page for a browser and as a Status for everybody else.
//!
//! kubectl: `pkg/proxy/proxy_server.go` of k8s.io/kubectl.

#![allow(dead_code, reason = "being put together")]

mod api_path;
mod files;
mod filter;
mod page;
mod place;
mod plain;
mod problem;
mod request_path;

use crate::config::LocalConfig;

/// Serves until Ctrl-C.
///
/// # Errors
/// The companion could not be started.
pub fn run(config: LocalConfig) -> std::io::Result<()> {
    tracing::debug!(?config, "starting");
    Ok(())
}

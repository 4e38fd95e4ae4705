//! Requests on to the API server. In: a request with its path at the API server. Out: the response as it comes.
//!
//! Exchanges share HTTP/2 connections, or take turns on idle HTTP/1 ones where the API server speaks no other
//! (`exchange`, `pool`). An upgrade has a connection of its own, HTTP/1.1, as kubectl proxy's (`upgrade`;
//! `makeUpgradeTransport` of `pkg/proxy/proxy_server.go`). `kube_client` offers the same to the `kube` library. Each
//! request gets the kubeconfig's credentials at the last moment.
//!
//! Refuses: what keeps it from a response, as an [`UpstreamError`].

mod caller_body;
mod client;
mod error;
pub(super) mod exchange;
mod kube_client;
mod pool;
mod response;
pub(super) mod upgrade;

pub(super) use client::Upstream;
pub(super) use error::UpstreamError;

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's connections are not for tests"
)]
mod tests;

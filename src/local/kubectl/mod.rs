//! kubectl proxy, byte for byte: the API, its rules, its paths, and static files.
//!
//! In: a request to the API's host. Out: what `kubectl proxy` would send on or respond.
//!
//! kubectl: `pkg/proxy/proxy_server.go` of k8s.io/kubectl.

pub(super) mod api;
pub(super) mod api_path;
pub(super) mod files;
pub(super) mod filter;
pub(super) mod plain;
pub(super) mod request_path;

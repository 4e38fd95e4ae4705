//! Throughway in a real cluster: kube-apiserver, etcd, controllers and a kubelet, everything of `manifests/` applied with
//! kubectl, and the server's processes run with nothing but their ServiceAccount.
//!
//! Run inside `tests/controlplane/in-namespace.sh`, as `make test` does. All tests share one control plane.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets something unexpected ends there"
)]

mod cluster;
mod compare;
mod node;
mod road;

#[path = "../support/mod.rs"]
mod support;

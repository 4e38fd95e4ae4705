//! Throughway in a real cluster: kube-apiserver, etcd, controllers and a kubelet, everything of `manifests/` applied with
//! kubectl, and the server's processes run with nothing but their ServiceAccount.
//!
//! Run inside `tests/controlplane/in-namespace.sh`, as `make test` does. All tests share one control plane.

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

mod apps;
mod local;
mod serve;

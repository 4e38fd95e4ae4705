//! Throughway in a real cluster: kube-apiserver, etcd, controllers and a kubelet, everything of `manifests/` applied
//! with kubectl, and the server's processes run with nothing but their ServiceAccount.
//!
//! Run inside `tests/control_plane_binary/in-namespace.sh`, as `make test` does. All tests share one control plane.

mod apps;
mod local;
mod serve;

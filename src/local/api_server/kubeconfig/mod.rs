//! Which API server, and as whom: kubeconfigs and kubectl's global flags.
//!
//! In order: `discover` finds and reads the files, `select` takes the entries that count, `resolve` decides every
//! question that they leave open, `load` does all of it and falls back to the pod that this runs in (`in_cluster`),
//! `reload` sees that the files changed.
//!
//! client-go: `tools/clientcmd`.

pub(super) mod discover;
pub(super) mod in_cluster;
pub(super) mod load;
mod non_empty;
pub(super) mod reload;
pub(super) mod resolve;
pub(super) mod select;

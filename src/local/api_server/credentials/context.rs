//! What credentials are made with besides what the kubeconfig says of the user.

use std::path::PathBuf;

use kube::config::Cluster;

use super::kuberc::Kuberc;
use crate::lifecycle::Tasks;
use crate::local::api_server::clock::Clock;
use crate::local::api_server::transport::proxy::ProxyEnvironment;

pub(in crate::local::api_server) struct CredentialContext<'a> {
    pub(in crate::local::api_server) cluster: &'a Cluster,
    pub(in crate::local::api_server) proxies: &'a ProxyEnvironment,
    /// The kubeconfig's files, in which refreshed tokens are kept.
    pub(in crate::local::api_server) files: Vec<PathBuf>,
    pub(in crate::local::api_server) clock: Clock,
    pub(in crate::local::api_server) kuberc: &'a Kuberc,
    pub(in crate::local::api_server) tasks: &'a Tasks,
}

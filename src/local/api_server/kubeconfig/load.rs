//! Where the API server is looked for. In: flags, kubeconfigs, the environment. Out: an [`RestConfig`].
//!
//! Kubeconfigs come first, then the pod that this runs in, then `KUBERNETES_MASTER`. If none of them names a server,
//! that is an error which says where was looked.
//!
//! client-go: `tools/clientcmd/merged_client_builder.go`.

use kube::config::Kubeconfig;

use super::discover::{self, FoundKubeconfig, KubeconfigPaths};
use super::in_cluster::InClusterConfig;
use super::resolve::{self, RestConfig};
use crate::lifecycle::Tasks;
use crate::local::api_server::clock::Clock;
use crate::local::api_server::credentials::kuberc::Kuberc;
use crate::local::api_server::error::ConfigError;
use crate::local::api_server::transport::proxy;
use crate::local::config::ClusterOptions;

/// Everything outside of the flags that is looked at.
#[derive(Clone)]
pub(in crate::local::api_server) struct Environment {
    pub(in crate::local::api_server) paths: KubeconfigPaths,
    pub(in crate::local::api_server) pod: InClusterConfig,
    pub(in crate::local::api_server) proxies: proxy::ProxyEnvironment,
    pub(in crate::local::api_server) clock: Clock,
    pub(in crate::local::api_server) kuberc: Kuberc,
    /// Where credentials are renewed, whoever waits for them.
    pub(in crate::local::api_server) tasks: Tasks,
    /// `KUBERNETES_MASTER`, the server where nothing else names one.
    pub(in crate::local::api_server) master: Option<String>,
}

impl Environment {
    pub(in crate::local::api_server) fn of_environment() -> Self {
        Self {
            paths: KubeconfigPaths::of_environment(),
            pod: InClusterConfig::of_environment(),
            proxies: proxy::ProxyEnvironment::read(),
            clock: Clock::of_system(),
            kuberc: Kuberc::of_environment(),
            tasks: Tasks::new(),
            master: std::env::var("KUBERNETES_MASTER")
                .ok()
                .filter(|server| !server.is_empty()),
        }
    }
}

/// Decides which API server it is, and as whom.
pub(in crate::local::api_server) async fn access(
    options: &ClusterOptions,
    environment: &Environment,
) -> Result<RestConfig, ConfigError> {
    let FoundKubeconfig {
        kubeconfig,
        looked_at,
    } = found(options, environment).await?;
    // The kubeconfig first, as a person in a pod who brings one means it.
    if let Some(access) = resolve::resolve(&kubeconfig, options)? {
        return Ok(access);
    }
    if let Some(access) = environment.pod.access(options).await? {
        return Ok(access);
    }
    let Some(master) = environment.master.clone() else {
        return Err(ConfigError::Nowhere { looked_at });
    };
    // Last, and with all the flags, as client-go has it.
    let options = ClusterOptions {
        server: Some(master),
        ..options.clone()
    };
    let access = resolve::resolve(&Kubeconfig::default(), &options)?;
    access.ok_or(ConfigError::Nowhere { looked_at })
}

/// Reads kubeconfigs beside this thread: one may be a pipe that nobody writes to, and then Ctrl-C is still heard.
async fn found(
    options: &ClusterOptions,
    environment: &Environment,
) -> Result<FoundKubeconfig, ConfigError> {
    let (explicit, paths) = (options.kubeconfig.clone(), environment.paths.clone());
    let read = tokio::task::spawn_blocking(move || discover::read(explicit.as_deref(), &paths));
    read.await.unwrap_or_else(|gone| {
        Err(ConfigError::Unreadable {
            path: options.kubeconfig.clone().unwrap_or_default(),
            cause: std::io::Error::other(gone),
        })
    })
}

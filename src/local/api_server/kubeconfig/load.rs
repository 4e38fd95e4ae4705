//! Where the API server is looked for. In: flags, kubeconfigs, the environment. Out: an [`Access`].
//!
//! Kubeconfigs come first, then the pod that this runs in, then `KUBERNETES_MASTER`. If none of them names a server, that is an error which says
//! where was looked.
//!
//! client-go: `tools/clientcmd/merged_client_builder.go`.

use kube::config::Kubeconfig;

use super::discover::{self, Found, Places};
use super::in_cluster::Pod;
use super::resolve::{self, Access};
use crate::lifecycle::Tasks;
use crate::local::api_server::clock::Clock;
use crate::local::api_server::credentials::kuberc::Kuberc;
use crate::local::api_server::error::AccessError;
use crate::local::api_server::transport::proxy;
use crate::local::config::ClusterOptions;

/// Everything outside of the flags that is looked at.
#[derive(Clone)]
pub(in crate::local::api_server) struct Surroundings {
    pub(in crate::local::api_server) places: Places,
    pub(in crate::local::api_server) pod: Pod,
    pub(in crate::local::api_server) proxies: proxy::Environment,
    pub(in crate::local::api_server) clock: Clock,
    pub(in crate::local::api_server) kuberc: Kuberc,
    /// Where credentials are renewed, whoever waits for them.
    pub(in crate::local::api_server) tasks: Tasks,
    /// `KUBERNETES_MASTER`, the server where nothing else names one.
    pub(in crate::local::api_server) master: Option<String>,
}

impl Surroundings {
    pub(in crate::local::api_server) fn of_environment() -> Self {
        Self {
            places: Places::of_environment(),
            pod: Pod::of_environment(),
            proxies: proxy::Environment::read(),
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
    surroundings: &Surroundings,
) -> Result<Access, AccessError> {
    let Found {
        kubeconfig,
        looked_at,
    } = found(options, surroundings).await?;
    if let Some(access) = resolve::decide(&kubeconfig, options)? {
        return Ok(access);
    }
    if let Some(access) = surroundings.pod.access(options).await? {
        return Ok(access);
    }
    let Some(master) = surroundings.master.clone() else {
        return Err(AccessError::Nowhere { looked_at });
    };
    let options = ClusterOptions {
        server: Some(master),
        ..options.clone()
    };
    let access = resolve::decide(&Kubeconfig::default(), &options)?;
    access.ok_or(AccessError::Nowhere { looked_at })
}

/// Reads kubeconfigs beside this thread: one may be a pipe that nobody writes to, and then Ctrl-C is still heard.
async fn found(
    options: &ClusterOptions,
    surroundings: &Surroundings,
) -> Result<Found, AccessError> {
    let (explicit, places) = (options.kubeconfig.clone(), surroundings.places.clone());
    let read = tokio::task::spawn_blocking(move || discover::read(explicit.as_deref(), &places));
    read.await.unwrap_or_else(|gone| {
        Err(AccessError::Unreadable {
            path: options.kubeconfig.clone().unwrap_or_default(),
            cause: std::io::Error::other(gone),
        })
    })
}

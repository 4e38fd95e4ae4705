//! The API server of the pod that this runs in, which is used when no kubeconfig names one.
//!
//! In: the environment and the mounted ServiceAccount. Out: an [`RestConfig`] like that of a kubeconfig, or nothing
//! outside of pods. `--token`, `--certificate-authority`, `--namespace` and impersonation still count.
//!
//! client-go: `inClusterClientConfig` in `tools/clientcmd/client_config.go`, and `rest/config.go`.

use std::path::{Path, PathBuf};

use http::Uri;
use kube::config::{AuthInfo, Cluster, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};

use super::resolve::{self, RestConfig};
use crate::local::api_server::error::ConfigError;
use crate::local::config::ClusterOptions;

const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The name of the entries in the kubeconfig that stands for the pod.
const NAME: &str = "in-cluster";

/// What a pod knows about its cluster.
#[derive(Clone)]
pub(in crate::local::api_server) struct InClusterConfig {
    /// `KUBERNETES_SERVICE_HOST`
    pub(in crate::local::api_server) host: Option<String>,
    /// `KUBERNETES_SERVICE_PORT`
    pub(in crate::local::api_server) port: Option<String>,
    /// `POD_NAMESPACE`
    pub(in crate::local::api_server) namespace: Option<String>,
    pub(in crate::local::api_server) folder: PathBuf,
}

impl InClusterConfig {
    pub(in crate::local::api_server) fn of_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            host: variable("KUBERNETES_SERVICE_HOST"),
            port: variable("KUBERNETES_SERVICE_PORT"),
            namespace: variable("POD_NAMESPACE"),
            folder: PathBuf::from(SERVICE_ACCOUNT),
        }
    }

    /// The API server of this pod; `None` where this is no pod.
    pub(in crate::local::api_server) async fn access(
        &self,
        options: &ClusterOptions,
    ) -> Result<Option<RestConfig>, ConfigError> {
        let (Some(host), Some(port)) = (&self.host, &self.port) else {
            return Ok(None);
        };
        let token = self.folder.join("token");
        // client-go's `Possible`: without a mounted token this is no pod that may ask.
        if !tokio::fs::metadata(&token)
            .await
            .is_ok_and(|file| file.is_file())
        {
            return Ok(None);
        }
        // An IPv6 address comes without its brackets.
        let server = if host.contains(':') {
            format!("https://[{host}]:{port}")
        } else {
            format!("https://{host}:{port}")
        };
        if server.parse::<Uri>().is_err() {
            return Err(ConfigError::BadServer { server });
        }
        let roots = self.folder.join("ca.crt");
        let has_roots = tokio::fs::metadata(&roots).await.is_ok();
        let kubeconfig = kubeconfig(
            Cluster {
                server: Some(server),
                certificate_authority: has_roots.then(|| text(&roots)),
                ..Cluster::default()
            },
            AuthInfo {
                token_file: Some(text(&token)),
                ..AuthInfo::default()
            },
            self.namespace().await,
        );
        let mut access = resolve::resolve(&kubeconfig, options)?;
        if let Some(access) = &mut access {
            // Nobody has named a context here, and none is to be shown.
            access.context = None;
        }
        Ok(access)
    }

    async fn namespace(&self) -> Option<String> {
        if self.namespace.is_some() {
            return self.namespace.clone();
        }
        let mounted = tokio::fs::read_to_string(self.folder.join("namespace")).await;
        let mounted = mounted.ok()?.trim().to_owned();
        (!mounted.is_empty()).then_some(mounted)
    }
}

fn kubeconfig(cluster: Cluster, user: AuthInfo, namespace: Option<String>) -> Kubeconfig {
    let context = kube::config::Context {
        cluster: NAME.to_owned(),
        user: Some(NAME.to_owned()),
        namespace,
        ..kube::config::Context::default()
    };
    Kubeconfig {
        clusters: vec![NamedCluster {
            name: NAME.to_owned(),
            cluster: Some(cluster),
            ..NamedCluster::default()
        }],
        auth_infos: vec![NamedAuthInfo {
            name: NAME.to_owned(),
            auth_info: Some(user),
            ..NamedAuthInfo::default()
        }],
        contexts: vec![NamedContext {
            name: NAME.to_owned(),
            context: Some(context),
            ..NamedContext::default()
        }],
        current_context: Some(NAME.to_owned()),
        ..Kubeconfig::default()
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

//! The way to the API server: the pod's ServiceAccount, or a kubeconfig.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use kube::config::{KubeConfigOptions, Kubeconfig};
use secrecy::ExposeSecret;

use crate::protocol::USER_AGENT;
use crate::serve::config::ClusterConfig;

/// A connect to the API server may take this long; what follows has the deadline of its question.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the mounted ServiceAccount's authority is.
const MOUNTED_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// A client, and what it was made from.
#[derive(Clone)]
pub struct Connected {
    pub client: kube::Client,
    /// The cluster's CA as PEM, and the file that it is read from where there is one.
    pub roots: Option<String>,
    pub roots_file: Option<PathBuf>,
    /// This server's own token: the file, or the token itself.
    pub token_file: Option<PathBuf>,
    pub token: Option<Vec<u8>>,
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Connected")
            .field("roots_file", &self.roots_file)
            .field("token_file", &self.token_file)
            .finish_non_exhaustive()
    }
}

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("there is no --kubeconfig, and this is no pod with a ServiceAccount")]
    NotInCluster(#[from] kube::config::InClusterError),
    #[error("--kubeconfig {path} is of no use")]
    Kubeconfig {
        path: String,
        #[source]
        cause: Box<kube::config::KubeconfigError>,
    },
    #[error("no client can be made from it")]
    Client(#[from] Box<kube::Error>),
}

/// Makes the client; nothing is asked of the API server yet.
///
/// # Errors
/// The kubeconfig, or the mounted ServiceAccount, is missing or broken.
pub async fn connect(config: &ClusterConfig) -> Result<Connected, ClientError> {
    let mut found = match &config.kubeconfig {
        Some(path) => {
            let broken = |cause| ClientError::Kubeconfig {
                path: path.display().to_string(),
                cause: Box::new(cause),
            };
            let kubeconfig = Kubeconfig::read_from(path).map_err(broken)?;
            let options = KubeConfigOptions::default();
            kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(broken)?
        }
        None => kube::Config::incluster()?,
    };
    // A proxy out of the environment could be anybody's; what is asked here decides who may do what.
    found.proxy_url = None;
    found.connect_timeout = Some(CONNECT_TIMEOUT);
    // Retries are made where the question is known, within its deadline.
    found.default_retry = false;
    found
        .headers
        .push((header::USER_AGENT, HeaderValue::from_static(USER_AGENT)));
    // The mounted authority is rotated under a running pod; a kubeconfig's is part of the file.
    let roots_file = config
        .kubeconfig
        .is_none()
        .then(|| PathBuf::from(MOUNTED_CA));
    let roots = found.root_cert.as_deref().map(pem);
    let token_file = found.auth_info.token_file.clone().map(PathBuf::from);
    let token = found
        .auth_info
        .token
        .as_ref()
        .map(|token| token.expose_secret().as_bytes().to_vec());
    let client = kube::Client::try_from(found).map_err(Box::new)?;
    Ok(Connected {
        client,
        roots,
        roots_file,
        token_file,
        token,
    })
}

fn pem(certificates: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for der in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(der).as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

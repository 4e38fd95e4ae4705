//! Which API server, and as whom. In: a kubeconfig and kubectl's global flags. Out: [`RestConfig`], in which every
//! question is decided.
//!
//! The rules are those of client-go. Flags win over the kubeconfig; `--server` drops the kubeconfig's tls-server-name,
//! `--certificate-authority` and `--insecure-skip-tls-verify` its other ways to trust; an `http://` server, also one
//! without a scheme, gets no credential at all. One difference: `--token` wins over a `tokenFile` of the kubeconfig,
//! which kubectl would use instead.
//!
//! client-go: `tools/clientcmd/client_config.go`, `validation.go`, and `rest/url_utils.go`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use kube::config::{AuthInfo, AuthProviderConfig, Cluster, ExecConfig, Kubeconfig};
use secrecy::SecretString;

use super::non_empty::{secret, text};
use super::select::SelectedContext;
use crate::local::api_server::error::ConfigError;
use crate::local::config::ClusterOptions;

/// One API server, and who speaks to it.
pub(in crate::local::api_server) struct RestConfig {
    pub(in crate::local::api_server) context: Option<String>,
    pub(in crate::local::api_server) namespace: String,
    pub(in crate::local::api_server) server: Uri,
    pub(in crate::local::api_server) trust: ServerTrust,
    pub(in crate::local::api_server) tls_server_name: Option<String>,
    pub(in crate::local::api_server) proxy_url: Option<String>,
    pub(in crate::local::api_server) identity: Option<IdentitySource>,
    pub(in crate::local::api_server) credential: UserCredential,
    pub(in crate::local::api_server) impersonation: Option<Impersonation>,
    /// The cluster as an exec plugin is told about it.
    pub(in crate::local::api_server) cluster: Cluster,
}

/// Whose server certificates are believed.
pub(in crate::local::api_server) enum ServerTrust {
    System,
    Roots(Pem),
    Anything,
}

/// PEM from a file, or from the kubeconfig itself as base64.
#[derive(Clone)]
pub(in crate::local::api_server) enum Pem {
    File(PathBuf),
    Base64(SecretString),
}

/// A client certificate and its key.
pub(in crate::local::api_server) struct IdentitySource {
    pub(in crate::local::api_server) certificate: Pem,
    pub(in crate::local::api_server) key: Pem,
}

/// What goes into `Authorization`, or comes from a plugin.
pub(in crate::local::api_server) enum UserCredential {
    Nothing,
    Token(SecretString),
    TokenFile {
        path: PathBuf,
        /// What is used while the file can't be read.
        fallback: Option<SecretString>,
    },
    Basic {
        username: String,
        password: SecretString,
    },
    Exec(Box<ExecConfig>),
    Provider(AuthProviderConfig),
}

/// `Impersonate-*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::api_server) struct Impersonation {
    pub(in crate::local::api_server) user: String,
    pub(in crate::local::api_server) uid: Option<String>,
    pub(in crate::local::api_server) groups: Vec<String>,
    pub(in crate::local::api_server) extra: BTreeMap<String, Vec<String>>,
}

/// What the kubeconfig and the flags say; `None` if they name no server at all.
pub(in crate::local::api_server) fn resolve(
    kubeconfig: &Kubeconfig,
    options: &ClusterOptions,
) -> Result<Option<RestConfig>, ConfigError> {
    let selected = SelectedContext::of(kubeconfig, options)?;
    let Some(server) = text(selected.cluster.server.as_ref()) else {
        // Somebody named a context or a cluster, so another place must not be tried in its stead.
        let is_meant = selected.context_name.is_some() || options.cluster.is_some();
        return match is_meant {
            true => Err(ConfigError::NoServer {
                cluster: selected.context.cluster,
            }),
            false => Ok(None),
        };
    };
    let server = server_uri(&server)?;
    // Nothing that proves who one is goes over a connection that anybody can read.
    let is_protected = server.scheme() == Some(&Scheme::HTTPS);
    let user_name = selected.context.user.clone();
    let (identity, credential) = if is_protected {
        let user_name = user_name.unwrap_or_default();
        (
            identity(&selected.user, &user_name)?,
            credential(&selected.user, options, &user_name)?,
        )
    } else {
        (None, UserCredential::Nothing)
    };
    let namespace = text(options.namespace.as_ref())
        .or_else(|| text(selected.context.namespace.as_ref()))
        .unwrap_or_else(|| "default".to_owned());
    Ok(Some(RestConfig {
        context: selected.context_name,
        namespace,
        server,
        trust: if is_protected {
            trust(&selected.cluster)?
        } else {
            ServerTrust::System
        },
        tls_server_name: text(selected.cluster.tls_server_name.as_ref()),
        proxy_url: text(selected.cluster.proxy_url.as_ref()),
        identity,
        credential,
        impersonation: impersonation(&selected.user)?,
        cluster: selected.cluster,
    }))
}

fn trust(cluster: &Cluster) -> Result<ServerTrust, ConfigError> {
    let roots = pem(
        cluster
            .certificate_authority_data
            .clone()
            .map(SecretString::from)
            .as_ref(),
        cluster.certificate_authority.as_ref(),
    );
    // client-go refuses both together, as one of them would be there in vain.
    match (cluster.insecure_skip_tls_verify, roots) {
        (Some(true), Some(_)) => Err(ConfigError::InsecureWithRoots),
        (Some(true), None) => Ok(ServerTrust::Anything),
        (Some(false) | None, roots) => Ok(roots.map_or(ServerTrust::System, ServerTrust::Roots)),
    }
}

fn pem(data: Option<&SecretString>, file: Option<&String>) -> Option<Pem> {
    match secret(data) {
        Some(data) => Some(Pem::Base64(data.clone())),
        None => text(file).map(|file| Pem::File(PathBuf::from(file))),
    }
}

fn identity(user: &AuthInfo, name: &str) -> Result<Option<IdentitySource>, ConfigError> {
    let certificate = pem(
        user.client_certificate_data
            .clone()
            .map(SecretString::from)
            .as_ref(),
        user.client_certificate.as_ref(),
    );
    let key = pem(user.client_key_data.as_ref(), user.client_key.as_ref());
    match (certificate, key) {
        // A key alone is passed over, as client-go does.
        (Some(certificate), Some(key)) => Ok(Some(IdentitySource { certificate, key })),
        (Some(_), None) => Err(ConfigError::CertificateWithoutKey {
            user: name.to_owned(),
        }),
        (None, _) => Ok(None),
    }
}

fn credential(
    user: &AuthInfo,
    options: &ClusterOptions,
    name: &str,
) -> Result<UserCredential, ConfigError> {
    let several = || ConfigError::SeveralCredentials {
        user: name.to_owned(),
    };
    let username = text(user.username.as_ref()).unwrap_or_default();
    let password = secret(user.password.as_ref());
    let token = secret(user.token.as_ref());
    let token_file = text(user.token_file.as_ref());
    let is_basic = !username.is_empty() || password.is_some();
    if is_basic && (token.is_some() || token_file.is_some()) {
        // A flag says what is meant; the kubeconfig on its own does not.
        if secret(options.token.as_ref()).is_none() {
            return Err(several());
        }
    }
    // The file before the token: it is renewed, and the token is what was there before.
    if let Some(path) = token_file {
        return Ok(UserCredential::TokenFile {
            path: PathBuf::from(path),
            fallback: token.cloned(),
        });
    }
    if let Some(token) = token {
        return Ok(UserCredential::Token(token.clone()));
    }
    if is_basic {
        let password = password.cloned().unwrap_or_default();
        return Ok(UserCredential::Basic { username, password });
    }
    match (&user.auth_provider, &user.exec) {
        (Some(_), Some(_)) => Err(several()),
        (Some(provider), None) => Ok(UserCredential::Provider(provider.clone())),
        // A client certificate of the kubeconfig is enough, then no plugin is asked.
        (None, Some(exec)) if identity(user, name)?.is_none() => {
            Ok(UserCredential::Exec(Box::new(exec.clone())))
        }
        (None, _) => Ok(UserCredential::Nothing),
    }
}

fn impersonation(user: &AuthInfo) -> Result<Option<Impersonation>, ConfigError> {
    let groups = user.impersonate_groups.clone().unwrap_or_default();
    let uid = text(user.impersonate_uid.as_ref());
    let extra: BTreeMap<String, Vec<String>> = user
        .impersonate_user_extra
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    let Some(name) = text(user.impersonate.as_ref()) else {
        if groups.is_empty() && uid.is_none() && extra.is_empty() {
            return Ok(None);
        }
        return Err(ConfigError::ImpersonationWithoutUser);
    };
    Ok(Some(Impersonation {
        user: name,
        uid,
        groups,
        extra,
    }))
}

/// The server's address; without a scheme it is `http`, as for kubectl.
pub(in crate::local::api_server) fn server_uri(server: &str) -> Result<Uri, ConfigError> {
    let bad = || ConfigError::BadServer {
        server: without_userinfo(server),
    };
    let has_scheme = server.contains("://");
    let whole = if has_scheme {
        server.to_owned()
    } else {
        format!("http://{server}")
    };
    let mut parts: Parts = whole.parse::<Uri>().map_err(|_| bad())?.into_parts();
    let scheme = parts.scheme.as_ref().ok_or_else(bad)?;
    if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
        return Err(bad());
    }
    let authority = parts.authority.as_ref().ok_or_else(bad)?.as_str();
    // Userinfo is no part of where the server is.
    let host = authority.rsplit('@').next().unwrap_or(authority);
    parts.authority = Some(Authority::try_from(host).map_err(|_| bad())?);
    let path = parts
        .path_and_query
        .as_ref()
        .map_or("/", PathAndQuery::path);
    // client-go: what has no scheme is a host and a port alone (`DefaultServerURL`).
    if !has_scheme && path != "/" {
        return Err(bad());
    }
    parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| bad())?);
    Uri::from_parts(parts).map_err(|_| bad())
}

pub(in crate::local::api_server) fn without_userinfo(address: &str) -> String {
    match (address.find("://"), address.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}{}", &address[..scheme + 3], &address[at + 1..])
        }
        _ => address.to_owned(),
    }
}

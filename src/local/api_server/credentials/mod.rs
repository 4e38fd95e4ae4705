//! Who the caller is to the API server. In: what the kubeconfig says about the user. Out: the `Authorization` and `Impersonate-*` headers.
//!
//! A header that the caller sent itself stays. Everything that ends by itself is made anew when it is needed: files are read again, plugins
//! run again.
//!
//! client-go: `transport/round_trippers.go`.

mod exec;
mod impersonate;
pub(in crate::local::api_server) mod kuberc;
mod oidc;
mod token_file;

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use kube::config::Cluster;
use secrecy::{ExposeSecret, SecretString};

use exec::Exec;
pub(super) use impersonate::Impersonate;
use oidc::Oidc;
use token_file::TokenFile;

use super::clock::Clock;
use super::error::{AccessError, CredentialError};
use super::kubeconfig::resolve::CredentialSource;
use super::transport::pem::Identity;
use super::transport::proxy;
use crate::lifecycle::Tasks;
use kuberc::Kuberc;

/// A user's credential.
pub(super) enum Credentials {
    Nothing,
    /// The same for every request.
    Fixed(HeaderValue),
    TokenFile(TokenFile),
    Exec(Exec),
    Oidc(Oidc),
}

/// What credentials are made with besides what the kubeconfig says of the user.
pub(super) struct Means<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) proxies: &'a proxy::Environment,
    /// The kubeconfig's files, in which refreshed tokens are kept.
    pub(super) files: Vec<PathBuf>,
    pub(super) clock: Clock,
    pub(super) kuberc: &'a Kuberc,
    pub(super) tasks: &'a Tasks,
}

/// A credential as it is now.
#[derive(Default)]
pub(super) struct Credential {
    /// `Authorization`
    pub(super) header: Option<HeaderValue>,
    /// A client certificate that comes with it.
    pub(super) identity: Option<Arc<Identity>>,
}

impl Credentials {
    pub(super) async fn of(
        source: CredentialSource,
        means: Means<'_>,
    ) -> Result<Self, AccessError> {
        Ok(match source {
            CredentialSource::Nothing => Self::Nothing,
            CredentialSource::Token(token) => {
                Self::Fixed(bearer(&token, "the kubeconfig or --token")?)
            }
            CredentialSource::TokenFile { path, fallback } => {
                Self::TokenFile(TokenFile::open(path, fallback, means.clock).await?)
            }
            CredentialSource::Basic { username, password } => {
                Self::Fixed(basic(&username, &password))
            }
            CredentialSource::Exec(config) => {
                let command = config.command.as_deref().unwrap_or_default();
                means.kuberc.check(command).await?;
                Self::Exec(Exec::of(*config, &means)?)
            }
            CredentialSource::Provider(provider) if provider.name == "oidc" => {
                Self::Oidc(Oidc::of(provider.config, means)?)
            }
            CredentialSource::Provider(provider) => {
                let name = provider.name;
                return Err(AccessError::NoProvider { name });
            }
        })
    }

    /// The credential for a request that starts now.
    pub(super) async fn credential(&self) -> Result<Credential, CredentialError> {
        let header = match self {
            Self::Nothing => None,
            Self::Fixed(value) => Some(value.clone()),
            Self::TokenFile(file) => Some(file.header().await),
            Self::Oidc(login) => Some(login.header().await?),
            Self::Exec(plugin) => {
                let given = plugin.credential().await?;
                return Ok(Credential {
                    header: given.header.clone(),
                    identity: given.identity.clone(),
                });
            }
        };
        Ok(Credential {
            header,
            identity: None,
        })
    }

    /// The client certificate for a connection that starts now.
    pub(super) async fn identity(&self) -> Result<Option<Arc<Identity>>, CredentialError> {
        match self {
            Self::Exec(plugin) => Ok(plugin.credential().await?.identity.clone()),
            Self::Nothing | Self::Fixed(_) | Self::TokenFile(_) | Self::Oidc(_) => Ok(None),
        }
    }

    pub(super) async fn is_about_to_refresh(&self) -> bool {
        match self {
            Self::Oidc(login) => login.is_about_to_refresh().await,
            Self::Nothing | Self::Fixed(_) | Self::TokenFile(_) | Self::Exec(_) => false,
        }
    }

    /// The API server did not take the credential.
    pub(super) fn rejected(&self) {
        match self {
            Self::Nothing | Self::Fixed(_) | Self::Oidc(_) => {}
            Self::TokenFile(file) => file.rejected(),
            Self::Exec(plugin) => plugin.rejected(),
        }
    }
}

fn bearer(token: &SecretString, origin: &str) -> Result<HeaderValue, CredentialError> {
    let unsendable = || CredentialError::Unsendable {
        origin: origin.to_owned(),
    };
    let token = token.expose_secret().trim();
    if token.is_empty() {
        return Err(unsendable());
    }
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| unsendable())?;
    value.set_sensitive(true);
    Ok(value)
}

fn basic(username: &str, password: &SecretString) -> HeaderValue {
    let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
    let mut value =
        HeaderValue::try_from(format!("Basic {pair}")).expect("base64 can be sent in a header");
    value.set_sensitive(true);
    value
}

//! Who the caller is to the API server. In: what the kubeconfig says about the user. Out: the `Authorization` and
//! `Impersonate-*` headers.
//!
//! A header that the caller sent itself stays. Everything that ends by itself is made anew when it is needed: files are
//! read again, plugins run again.
//!
//! client-go: `transport/round_trippers.go`.

pub(in crate::local::api_server) mod context;
mod exec;
mod header;
mod impersonate;
pub(in crate::local::api_server) mod kuberc;
mod oidc;
mod token_file;

use std::sync::Arc;

use http::HeaderValue;

use context::CredentialContext;
use exec::Exec;
use header::{basic, bearer};
pub(super) use impersonate::Impersonate;
use oidc::Oidc;
use token_file::TokenFile;

use super::error::{ConfigError, CredentialError};
use super::kubeconfig::resolve::UserCredential;
use super::transport::pem::ClientIdentity;

/// A user's credential.
pub(super) enum UserCredentials {
    Nothing,
    /// The same for every request.
    Fixed(HeaderValue),
    TokenFile(TokenFile),
    Exec(Exec),
    Oidc(Oidc),
}

/// A credential as it is now.
#[derive(Default)]
pub(super) struct RequestCredential {
    /// `Authorization`
    pub(super) header: Option<HeaderValue>,
    /// A client certificate that comes with it.
    pub(super) identity: Option<Arc<ClientIdentity>>,
}

impl UserCredentials {
    pub(super) async fn of(
        source: UserCredential,
        context: CredentialContext<'_>,
    ) -> Result<Self, ConfigError> {
        Ok(match source {
            UserCredential::Nothing => Self::Nothing,
            UserCredential::Token(token) => {
                Self::Fixed(bearer(&token, "the kubeconfig or --token")?)
            }
            UserCredential::TokenFile { path, fallback } => {
                Self::TokenFile(TokenFile::open(path, fallback, context.clock).await?)
            }
            UserCredential::Basic { username, password } => {
                Self::Fixed(basic(&username, &password))
            }
            UserCredential::Exec(config) => {
                let command = config.command.as_deref().unwrap_or_default();
                // Before it is made: a plugin that may not be run is not even looked for.
                context.kuberc.check(command).await?;
                Self::Exec(Exec::of(*config, &context)?)
            }
            UserCredential::Provider(provider) if provider.name == "oidc" => {
                Self::Oidc(Oidc::of(provider.config, context)?)
            }
            UserCredential::Provider(provider) => {
                let name = provider.name;
                return Err(ConfigError::NoProvider { name });
            }
        })
    }

    /// The credential for a request that starts now.
    pub(super) async fn credential(&self) -> Result<RequestCredential, CredentialError> {
        let header = match self {
            Self::Nothing => None,
            Self::Fixed(value) => Some(value.clone()),
            Self::TokenFile(file) => Some(file.header().await),
            Self::Oidc(login) => Some(login.header().await?),
            Self::Exec(plugin) => {
                // Both come from one run, so that certificate and token belong together.
                let given = plugin.credential().await?;
                return Ok(RequestCredential {
                    header: given.header.clone(),
                    identity: given.identity.clone(),
                });
            }
        };
        Ok(RequestCredential {
            header,
            identity: None,
        })
    }

    /// The client certificate for a connection that starts now.
    pub(super) async fn identity(&self) -> Result<Option<Arc<ClientIdentity>>, CredentialError> {
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

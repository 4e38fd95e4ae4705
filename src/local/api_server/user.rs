//! Who speaks to the API server: credentials, client certificate, trust and impersonation, which may all change
//! together.
//!
//! In: an [`RestConfig`]. Out: a [`ApiUser`]. What is wrong with files is said at once; plugins run when the first
//! request needs them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::header::AUTHORIZATION;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue};

use super::credentials::context::CredentialContext;
use super::credentials::{Impersonate, UserCredentials};
use super::error::{ConfigError, ConnectError, CredentialError, PemError};
use super::kubeconfig::discover;
use super::kubeconfig::load::Environment;
use super::kubeconfig::resolve::{RestConfig, UserCredential};
use super::transport::tls::{TlsSettings, TlsSource, WhenExpired};
use crate::local::config::ClusterOptions;

/// A user as the kubeconfig describes it now.
pub(super) struct ApiUser {
    /// `None` for a server without TLS.
    tls: Option<TlsSource>,
    credentials: UserCredentials,
    impersonate: Option<Impersonate>,
}

impl ApiUser {
    pub(super) async fn of(
        access: RestConfig,
        options: &ClusterOptions,
        environment: &Environment,
        generation: Arc<AtomicU64>,
    ) -> Result<Self, ConfigError> {
        let clock = || environment.clock.clone();
        let tls = if access.server.scheme() == Some(&Scheme::HTTPS) {
            let when_expired = match access.credential {
                UserCredential::Nothing => WhenExpired::Refuse,
                _ => WhenExpired::Send,
            };
            let times = (clock(), generation);
            let tls = TlsSource::new(access.trust, access.identity, when_expired, times);
            // Files are read at once, so that a wrong one ends the start. A plugin's certificate comes with its first
            // run.
            if !matches!(access.credential, UserCredential::Exec(_)) {
                tls.settings(None).await?;
            }
            Some(tls)
        } else {
            None
        };
        let context = CredentialContext {
            cluster: &access.cluster,
            proxies: &environment.proxies,
            files: discover::files(options.kubeconfig.as_deref(), &environment.paths),
            clock: clock(),
            kuberc: &environment.kuberc,
            tasks: &environment.tasks,
        };
        Ok(Self {
            tls,
            credentials: UserCredentials::of(access.credential, context).await?,
            impersonate: access
                .impersonation
                .as_ref()
                .map(Impersonate::of)
                .transpose()?,
        })
    }

    /// TLS settings for a new connection.
    pub(super) async fn settings(&self) -> Result<Option<TlsSettings>, ConnectError> {
        let Some(tls) = &self.tls else {
            return Ok(None);
        };
        // From the plugin, which runs here if nobody has needed it yet.
        let identity = self.credentials.identity().await?;
        Ok(Some(tls.settings(identity.as_ref()).await?))
    }

    /// Adds the headers that the caller did not send itself.
    pub(super) async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), CredentialError> {
        // A caller's own credential is used alone: nothing of the kubeconfig is mixed with it.
        if headers.get(AUTHORIZATION).is_none_or(HeaderValue::is_empty) {
            let credential = self.credentials.credential().await?;
            if let Some(header) = credential.header {
                headers.insert(AUTHORIZATION, header);
            }
            if let Some(tls) = &self.tls {
                match tls.check_identity(credential.identity.as_ref()).await {
                    Ok(()) => {}
                    Err(PemError::Expired { origin, at }) => {
                        return Err(CredentialError::CertificateExpired { origin, at });
                    }
                    // A new connection says the same as an error; a kept one may still do.
                    Err(failed) => {
                        tracing::warn!(error = %failed, "the client certificate can't be renewed");
                    }
                }
            }
        }
        // Also for a caller's own credential, as kubectl proxy does it.
        if let Some(impersonate) = &self.impersonate {
            impersonate.apply(headers);
        }
        Ok(())
    }

    /// Whether the next request would use a refresh token.
    pub(super) async fn is_about_to_refresh(&self) -> bool {
        self.credentials.is_about_to_refresh().await
    }

    /// No other user takes its place: new connections are of the present generation.
    pub(super) async fn stays_in_force(&self) {
        if let Some(tls) = &self.tls {
            tls.stay_in_force().await;
        }
    }

    pub(super) fn rejected(&self) {
        self.credentials.rejected();
        if let Some(tls) = &self.tls {
            tls.rejected();
        }
    }
}

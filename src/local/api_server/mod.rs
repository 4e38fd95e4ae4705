//! The API server of a kubeconfig, and the credentials for it.
//!
//! In: kubectl's global flags. Out: [`ApiServer`], which makes connections to the API server and says who speaks on
//! them: client certificates, tokens, token files, plugins, impersonation, as kubectl would.
//!
//! For each request: `authorize` first, which renews what has run out; then a connection of the present `generation`, a
//! kept one or one from `connect`. After a 401: `rejected`.
//!
//! client-go: `tools/clientcmd`, `transport`, `plugin/pkg/client/auth`.

mod advice;
mod clock;
mod credentials;
mod error;
mod kubeconfig;
mod transport;
mod user;
mod whole_file;
mod yaml;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::uri::Scheme;
use http::{HeaderMap, Uri};
use rustls::pki_types::ServerName;
use tokio::sync::{Mutex, oneshot};

pub(super) use error::{ConfigError, ConnectError, CredentialError};
pub(super) use transport::connect::BoxedIo;
pub(super) use transport::tls::ConnectionPurpose;

use kubeconfig::load::Environment;
use kubeconfig::reload::KubeconfigReloader;
use kubeconfig::resolve::{RestConfig, ServerTrust};
use transport::connect::{ApiDialer, TlsTarget};
use transport::proxy::Proxy;
use transport::tls::TlsSource;
use user::ApiUser;

use crate::local::config::ClusterOptions;

/// How long the program's end waits for tokens that are being fetched.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// The API server, and who speaks to it. Cheap to clone.
#[derive(Clone)]
pub(super) struct ApiServer(Arc<ApiServerState>);

struct ApiServerState {
    context: Option<String>,
    namespace: String,
    url: Uri,
    verification: Verification,
    /// What the server's certificate is checked for.
    name: ServerName<'static>,
    dial: ApiDialer,
    user: ArcSwap<ApiUser>,
    generation: Arc<AtomicU64>,
    is_rejected: AtomicBool,
    reloader: Mutex<KubeconfigReloader>,
    options: ClusterOptions,
    environment: Environment,
}

/// Whether the server's certificate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verification {
    Checked,
    /// `insecure-skip-tls-verify`.
    Skipped,
}

/// A connection that is ready for HTTP.
pub(super) struct ServerConnection {
    pub(super) io: BoxedIo,
    pub(super) speaks_http2: bool,
    pub(super) generation: u64,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ApiServer")
            .field("context", &self.0.context)
            .field("url", &self.0.url)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ServerConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ServerConnection")
            .field("speaks_http2", &self.speaks_http2)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl ApiServer {
    /// Reads the kubeconfig and the files that it names. Plugins run when the first request needs them.
    pub(super) async fn load(options: &ClusterOptions) -> Result<Self, ConfigError> {
        Self::load_in(options, Environment::of_environment()).await
    }

    async fn load_in(
        options: &ClusterOptions,
        environment: Environment,
    ) -> Result<Self, ConfigError> {
        // Before the kubeconfig is read for use, so that no change between the two is missed.
        let reloader = KubeconfigReloader::of(options, &environment).await;
        let access = kubeconfig::load::access(options, &environment).await?;
        let proxy_url = access.proxy_url.as_deref();
        let proxy = Proxy::of(&access.server, proxy_url, &environment.proxies)?;
        let proxy_tls = match &proxy {
            Some(proxy) if proxy.uri.scheme() == Some(&Scheme::HTTPS) => {
                let system = TlsSource::anonymous(ServerTrust::System);
                Some(system.settings(None).await?.of(ConnectionPurpose::Upgrade))
            }
            _ => None,
        };
        let generation = Arc::new(AtomicU64::new(0));
        let options = ClusterOptions {
            // Another context becoming the current one is nothing to this process.
            context: access.context.clone().or(options.context.clone()),
            ..options.clone()
        };
        Ok(Self(Arc::new(ApiServerState {
            context: access.context.clone(),
            namespace: access.namespace.clone(),
            url: access.server.clone(),
            verification: match access.trust {
                ServerTrust::Anything => Verification::Skipped,
                ServerTrust::System | ServerTrust::Roots(_) => Verification::Checked,
            },
            // Fixed for the life of this process: another server means other credentials, and is not gone over to.
            name: server_name(&access)?,
            dial: ApiDialer::new(proxy, proxy_tls, options.keepalive),
            user: ArcSwap::from_pointee(
                ApiUser::of(access, &options, &environment, Arc::clone(&generation)).await?,
            ),
            generation,
            is_rejected: AtomicBool::new(false),
            reloader: Mutex::new(reloader),
            options,
            environment,
        })))
    }

    /// The server's address, with its path.
    pub(super) fn url(&self) -> &Uri {
        &self.0.url
    }

    pub(super) fn verification(&self) -> Verification {
        self.0.verification
    }

    /// Waits until tokens that are being fetched are kept; no longer than somebody waits who ends a program.
    pub(super) async fn finish(&self) {
        if !self
            .0
            .environment
            .tasks
            .end(Duration::ZERO, FINISH_TIMEOUT)
            .await
        {
            tracing::warn!("the login was being renewed, and may have to be made anew");
        }
    }

    /// The name of the kubeconfig's context, for people.
    pub(super) fn context(&self) -> Option<&str> {
        self.0.context.as_deref()
    }

    /// The namespace of what is named without one.
    pub(super) fn default_namespace(&self) -> &str {
        &self.0.namespace
    }

    /// A connection of its own to the API server.
    pub(super) async fn connect(
        &self,
        purpose: ConnectionPurpose,
    ) -> Result<ServerConnection, ConnectError> {
        let ApiServerState { url, dial, .. } = &*self.0;
        // One user for the whole connection, even if the kubeconfig is read again meanwhile.
        let user = self.0.user.load_full();
        let Some(settings) = user.settings().await? else {
            return Ok(ServerConnection {
                io: dial.plain(url).await?,
                speaks_http2: false,
                generation: self.generation(),
            });
        };
        let secured = TlsTarget {
            settings: settings.of(purpose),
            name: self.0.name.clone(),
        };
        let (io, speaks_http2) = dial.secured(url, secured).await?;
        Ok(ServerConnection {
            io,
            speaks_http2,
            // The settings' own, and not the present one: a certificate that changed during the handshake is not on
            // this connection.
            generation: settings.generation,
        })
    }

    /// Adds the credential and whom to impersonate, as far as the caller did not say it. What has run out is renewed
    /// before that, so that `generation` is up to date afterwards.
    pub(super) async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), CredentialError> {
        // Loaded anew below if the kubeconfig was read again.
        let mut user = self.0.user.load_full();
        // A refresh token may be good for one use only, and kubectl may have used it since.
        if self.0.is_rejected.load(Ordering::Acquire) || user.is_about_to_refresh().await {
            self.reload().await;
            user = self.0.user.load_full();
        }
        // The second chance is for a login that somebody just renewed in another terminal.
        let Err(failed) = user.authorize(headers).await else {
            return Ok(());
        };
        match self.reload().await {
            Reload::Changed => self.0.user.load_full().authorize(headers).await,
            Reload::Unchanged => Err(failed),
        }
    }

    /// The API server answered 401: what can be made anew is made anew before the next request, and the kubeconfig is
    /// read again if somebody logged in to it.
    pub(super) fn rejected(&self) {
        // The user's own sources first: a file or a plugin may have something new without any change of the kubeconfig.
        self.0.user.load().rejected();
        self.0.is_rejected.store(true, Ordering::Release);
    }

    /// Changes when the client certificate changed: connections of an older generation are not used for new requests.
    pub(super) fn generation(&self) -> u64 {
        // Read with acquire, as the settings of that generation have to be seen as well.
        self.0.generation.load(Ordering::Acquire)
    }

    /// Takes the user from the kubeconfig again if that changed. A request that is given up between the look and the
    /// change would lose the change, so a task of its own does it.
    async fn reload(&self) -> Reload {
        let api = self.clone();
        let (sender, receiver) = oneshot::channel();
        self.0.environment.tasks.spawn_background(async move {
            // Whoever asked may be gone.
            let _ = sender.send(api.reload_now().await);
        });
        receiver.await.unwrap_or(Reload::Unchanged)
    }

    /// Another server is not gone over to.
    async fn reload_now(&self) -> Reload {
        let ApiServerState {
            environment,
            options,
            ..
        } = &*self.0;
        // Held while the files are read: those that come with the same 401 wait, and then find it done.
        let mut reloader = self.0.reloader.lock().await;
        if !reloader.is_due(environment) {
            return Reload::Unchanged;
        }
        // Cleared before the look, so that a 401 after it leads to another one.
        self.0.is_rejected.store(false, Ordering::Release);
        if !reloader.changed(environment).await {
            return Reload::Unchanged;
        }
        let user = match kubeconfig::load::access(options, environment).await {
            Ok(access) if access.server == self.0.url => {
                // Before the user is made: its first settings are of the new generation, and no connection of the old
                // one is used for it.
                self.0.generation.fetch_add(1, Ordering::AcqRel);
                ApiUser::of(access, options, environment, Arc::clone(&self.0.generation)).await
            }
            Ok(_) => {
                tracing::warn!("the kubeconfig names another server now; start anew to use it");
                return Reload::Unchanged;
            }
            Err(failed) => Err(failed),
        };
        match user {
            Ok(user) => {
                tracing::info!("the kubeconfig changed and was read again");
                self.0.user.store(Arc::new(user));
                Reload::Changed
            }
            Err(failed) => {
                // The generation may have been counted up for the new user. The old one's connections have to be of it,
                // or none of them would ever be kept.
                self.0.user.load_full().stays_in_force().await;
                tracing::warn!(error = %failed, "the kubeconfig changed and can't be used; what it said before counts");
                Reload::Unchanged
            }
        }
    }
}

/// What came of reading the kubeconfig again.
enum Reload {
    Changed,
    Unchanged,
}

fn server_name(access: &RestConfig) -> Result<ServerName<'static>, ConfigError> {
    let name = match &access.tls_server_name {
        Some(name) => name.as_str(),
        None => transport::proxy::host_of(&access.server),
    };
    ServerName::try_from(name.to_owned()).map_err(|_| ConfigError::BadServerName {
        name: name.to_owned(),
    })
}

#[cfg(test)]
pub(super) mod tests;

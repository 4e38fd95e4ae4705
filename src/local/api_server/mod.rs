//! The API server of a kubeconfig, and the credentials for it.
//!
//! In: kubectl's global flags. Out: [`ApiServer`], which makes connections to the API server and says who speaks on them: client certificates,
//! tokens, token files, plugins, impersonation, as kubectl would.
//!
//! For each request: `authorize` first, which renews what has run out; then a connection of the present `generation`, a kept one or one
//! from `connect`. After a 401: `rejected`.
//!
//! client-go: `tools/clientcmd`, `transport`, `plugin/pkg/client/auth`.

mod access;
mod clock;
mod connect;
mod credentials;
mod error;
mod explain;
mod identity;
mod in_cluster;
mod kubeconfig;
mod proxy;
mod tls;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Uri};
use kube::config::Kubeconfig;
use rustls::pki_types::ServerName;

pub(super) use connect::Io;
pub(super) use error::{AccessError, ConnectError, CredentialError};

use access::{Access, CredentialSource, Trust};
use clock::Clock;
use connect::{Dial, Secured};
use credentials::{Credentials, Impersonate, Means};
use in_cluster::Pod;
use kubeconfig::{Found, Places};
use proxy::Proxy;
use tls::{Tls, WhenExpired};

use crate::config::ClusterOptions;

/// The API server, and who speaks to it. Cheap to clone.
#[derive(Clone)]
pub(super) struct ApiServer(Arc<Inner>);

struct Inner {
    context: Option<String>,
    namespace: String,
    url: Uri,
    dial: Dial,
    /// `None` for a server without TLS.
    tls: Option<(Tls, ServerName<'static>)>,
    credentials: Credentials,
    impersonate: Option<Impersonate>,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Requests and answers: HTTP/2 where the server speaks it.
    Exchange,
    /// One request that becomes another protocol: HTTP/1.1.
    Upgrade,
}

/// A connection that is ready for HTTP.
pub(super) struct Connected {
    pub(super) io: Io,
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

impl std::fmt::Debug for Connected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Connected")
            .field("speaks_http2", &self.speaks_http2)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Everything outside of the flags that is looked at.
struct Surroundings {
    places: Places,
    pod: Pod,
    proxies: proxy::Environment,
    clock: Clock,
    /// `KUBERNETES_MASTER`, the server where nothing else names one.
    master: Option<String>,
}

impl Surroundings {
    fn of_environment() -> Self {
        Self {
            places: Places::of_environment(),
            pod: Pod::of_environment(),
            proxies: proxy::Environment::read(),
            clock: Clock::of_system(),
            master: std::env::var("KUBERNETES_MASTER")
                .ok()
                .filter(|server| !server.is_empty()),
        }
    }
}

impl ApiServer {
    /// Reads the kubeconfig and the files that it names. Plugins run when the first request needs them.
    pub(super) async fn load(options: &ClusterOptions) -> Result<Self, AccessError> {
        Self::load_in(options, &Surroundings::of_environment()).await
    }

    async fn load_in(
        options: &ClusterOptions,
        surroundings: &Surroundings,
    ) -> Result<Self, AccessError> {
        let Found {
            kubeconfig,
            looked_at,
        } = kubeconfig::read(options.kubeconfig.as_deref(), &surroundings.places)?;
        if let Some(access) = access::decide(&kubeconfig, options)? {
            return Self::of(access, options, surroundings).await;
        }
        if let Some(access) = surroundings.pod.access(options).await? {
            return Self::of(access, options, surroundings).await;
        }
        let Some(master) = surroundings.master.clone() else {
            return Err(AccessError::Nowhere { looked_at });
        };
        let options = ClusterOptions {
            server: Some(master),
            ..options.clone()
        };
        match access::decide(&Kubeconfig::default(), &options)? {
            Some(access) => Self::of(access, &options, surroundings).await,
            None => Err(AccessError::Nowhere { looked_at }),
        }
    }

    async fn of(
        access: Access,
        options: &ClusterOptions,
        surroundings: &Surroundings,
    ) -> Result<Self, AccessError> {
        let proxy = Proxy::of(
            &access.server,
            access.proxy_url.as_deref(),
            &surroundings.proxies,
        )?;
        let clock = || surroundings.clock.clone();
        let proxy_tls = match &proxy {
            Some(proxy) if proxy.uri.scheme() == Some(&Scheme::HTTPS) => {
                let system = Tls::new(Trust::System, None, WhenExpired::Send, clock());
                Some(system.settings(None).await?.of(Purpose::Upgrade))
            }
            _ => None,
        };
        let tls = if access.server.scheme() == Some(&Scheme::HTTPS) {
            let name = server_name(&access)?;
            let when_expired = match access.credential {
                CredentialSource::Nothing => WhenExpired::Refuse,
                _ => WhenExpired::Send,
            };
            let has_plugin = matches!(access.credential, CredentialSource::Exec(_));
            let tls = Tls::new(access.trust, access.identity, when_expired, clock());
            if !has_plugin {
                // What is wrong with the files is said at the start, not at the first request.
                tls.settings(None).await?;
            }
            Some((tls, name))
        } else {
            None
        };
        let means = Means {
            cluster: &access.cluster,
            proxies: &surroundings.proxies,
            clock: clock(),
        };
        Ok(Self(Arc::new(Inner {
            context: access.context,
            namespace: access.namespace,
            url: access.server,
            dial: Dial::new(proxy, proxy_tls, options.keepalive),
            tls,
            credentials: Credentials::of(access.credential, means).await?,
            impersonate: access
                .impersonation
                .as_ref()
                .map(Impersonate::of)
                .transpose()?,
        })))
    }

    /// The server's address, with its path.
    pub(super) fn url(&self) -> &Uri {
        &self.0.url
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
    pub(super) async fn connect(&self, purpose: Purpose) -> Result<Connected, ConnectError> {
        let Inner { url, dial, .. } = &*self.0;
        let Some((tls, name)) = &self.0.tls else {
            return Ok(Connected {
                io: dial.plain(url).await?,
                speaks_http2: false,
                generation: 0,
            });
        };
        let identity = self.0.credentials.identity().await?;
        let settings = tls.settings(identity.as_ref()).await?;
        let secured = Secured {
            settings: settings.of(purpose),
            name: name.clone(),
        };
        let (io, speaks_http2) = dial.secured(url, secured).await?;
        Ok(Connected {
            io,
            speaks_http2,
            generation: settings.generation,
        })
    }

    /// Adds the credential and whom to impersonate, as far as the caller did not say it. What has run out is renewed before that,
    /// so that `generation` is up to date afterwards.
    pub(super) async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), CredentialError> {
        if headers.get(AUTHORIZATION).is_none_or(HeaderValue::is_empty) {
            let credential = self.0.credentials.credential().await?;
            if let Some(header) = credential.header {
                headers.insert(AUTHORIZATION, header);
            }
            if let Some((tls, _)) = &self.0.tls
                && let Err(failed) = tls.look(credential.identity.as_ref()).await
            {
                // A new connection says the same as an error; a kept one may still do.
                tracing::warn!(error = %failed, "the client certificate can't be renewed");
            }
        }
        if let Some(impersonate) = &self.0.impersonate {
            impersonate.apply(headers);
        }
        Ok(())
    }

    /// The API server answered 401: what can be made anew is made anew before the next request.
    pub(super) fn rejected(&self) {
        self.0.credentials.rejected();
    }

    /// Changes when the client certificate changed: connections of an older generation are not used for new requests.
    pub(super) fn generation(&self) -> u64 {
        self.0.tls.as_ref().map_or(0, |(tls, _)| tls.generation())
    }
}

fn server_name(access: &Access) -> Result<ServerName<'static>, AccessError> {
    let name = match &access.tls_server_name {
        Some(name) => name.as_str(),
        None => proxy::host_of(&access.server),
    };
    ServerName::try_from(name.to_owned()).map_err(|_| AccessError::BadServerName {
        name: name.to_owned(),
    })
}

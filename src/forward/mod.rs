//! 7, send it on. In: a [`Permit`], a [`Choice`], the request. Out: the backend's answer, and which endpoint gave it.
//!
//! Plain exchanges go over kept connections and stream both ways; upgrades get a connection of their own and become a
//! tunnel after a 101, and only then. What the caller sent inside the target is what the backend gets; the deliberate
//! changes are all in `headers.rs`, and in `login` for what an app asks its own users for.
//!
//! Refuses: 400 for a protocol that is not tunnelled, 403 for an upgrade to a kubelet, 429 when there are too many tunnels,
//! 502 for an answer that is none, 503 when no connection is made, 504 when a limit passes. [`ForwardError`] has them all.
//!
//! Kubernetes: `pkg/util/proxy/upgradeaware.go` of k8s.io/apimachinery.

mod body;
mod dial;
mod error;
mod exchange;
mod expect;
mod frames;
mod headers;
mod login;
mod pool;
mod seen;
mod tunnel;
mod upgrade;
mod versions;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use tokio::sync::Semaphore;

pub use error::ForwardError;
pub use headers::{HOST_COOKIES, LOGIN_COOKIE, is_own_cookie};
pub use login::{LOGIN_LIFETIME, Logins, Presented};
pub use seen::Seen;

use crate::api::Resource;
use crate::authorization::Permit;
use crate::certificates::KubeletAccess;
use crate::config::ForwardConfig;
use crate::connection::Peer;
use crate::endpoint::{Choice, Endpoint, Outliers};
use crate::envelope::OwnOrigin;
use crate::lifecycle::Tasks;
use crate::status::{Request, Response};
use crate::telemetry::Journey;
use dial::Dialer;
use pool::Pool;
use upgrade::Asked;

/// An answer, and the endpoint that gave it.
#[derive(Debug)]
pub struct Forwarded {
    pub response: Response,
    pub endpoint: Endpoint,
}

/// What backends are shown: kubelets the credential for kubelets, everybody else what is meant for them.
#[derive(Debug)]
pub struct Credentials {
    pub kubelet: KubeletAccess,
    pub logins: Logins,
}

/// Sends requests on.
#[derive(Debug)]
pub struct Forward {
    config: ForwardConfig,
    dialer: Dialer,
    logins: Logins,
    pool: Arc<Pool>,
    tunnels: Arc<Semaphore>,
    tasks: Tasks,
}

/// Who asked, and how their request goes on.
#[derive(Debug, Clone, Copy)]
struct Sender<'a> {
    peer: &'a Peer,
    permit: &'a Permit,
    journey: &'a Arc<Journey>,
    config: &'a ForwardConfig,
    seen: &'a Seen,
}

impl Forward {
    pub fn new(
        config: ForwardConfig,
        credentials: Credentials,
        outliers: Outliers,
        tasks: Tasks,
    ) -> Self {
        let pool = Arc::new(Pool::new(
            config.idle_connection_lifetime,
            config.max_idle_per_endpoint,
        ));
        tasks.spawn_background(Arc::clone(&pool).sweep());
        Self {
            dialer: Dialer::new(config.clone(), credentials.kubelet, outliers),
            logins: credentials.logins,
            tunnels: Arc::new(Semaphore::new(config.max_tunnels)),
            config,
            pool,
            tasks,
        }
    }

    /// Sends a permitted request to the chosen endpoint.
    ///
    /// Cancel-safe: when the caller is gone and this future is dropped, so is the backend's connection.
    ///
    /// # Errors
    /// There is no answer that can be passed on; see [`ForwardError`].
    pub async fn send(
        &self,
        peer: &Peer,
        permit: &Permit,
        seen: &Seen,
        journey: &Arc<Journey>,
        choice: Choice,
        request: Box<Request>,
    ) -> Result<Forwarded, ForwardError> {
        let sender = Sender {
            peer,
            permit,
            journey,
            config: &self.config,
            seen,
        };
        match upgrade::asked(&request, choice.first.scheme)? {
            Asked::Tunnel(protocol) => {
                Box::pin(self.upgrade(sender, choice, request, protocol)).await
            }
            Asked::Plain => self.exchange(sender, choice, request).await,
        }
    }

    /// How the browser sees the target, as far as its request says it.
    pub fn seen(&self, permit: &Permit, own: Option<OwnOrigin>, headers: &HeaderMap) -> Seen {
        match own {
            Some(own) => Seen::at(own),
            None => Seen::of(
                headers,
                permit.asked().prefix(),
                &self.config.external_origins,
            ),
        }
    }

    /// The `Authorization` that the backend gets of what is meant for it: at its own origin what was sent there, elsewhere
    /// what [`login`] makes of the request.
    fn authorization(&self, sender: Sender<'_>, headers: &HeaderMap) -> Option<HeaderValue> {
        match &sender.seen.own {
            Some(_) if sender.permit.asked().resource == Resource::Nodes => None,
            Some(_) => headers.get(header::AUTHORIZATION).cloned(),
            None => self.logins.authorization(sender.permit, headers),
        }
    }

    /// What opens and seals logins at apps.
    pub fn logins(&self) -> &Logins {
        &self.logins
    }

    /// Tunnels under way.
    pub fn tunnels(&self) -> usize {
        self.config
            .max_tunnels
            .saturating_sub(self.tunnels.available_permits())
    }

    /// Kept connections that wait for a request.
    pub fn kept_connections(&self) -> usize {
        self.pool.waiting()
    }
}

#[cfg(test)]
mod tests;

//! 9, send it on. In: an [`EndpointOrder`] with its permit, the request. Out: [`Forwarded`], the backend's response.
//!
//! Plain exchanges go over pooled connections and stream both ways; upgrades get a connection of their own and become a
//! tunnel after a 101, and only then. What the caller sent inside the target is what the backend gets; the deliberate
//! changes are all in `headers/`.
//!
//! Refuses: 400 for a protocol that is not tunnelled, 403 for an upgrade to a kubelet, 429 when there are too many
//! tunnels, 502 for a response that is none, 503 when no connection is made, 504 when a timeout is over.
//! [`ForwardError`] has them all.
//!
//! Kubernetes: `pkg/util/proxy/upgradeaware.go` of k8s.io/apimachinery.

mod error;
mod exchange;
mod headers;
mod offered_protocol;
mod request;
mod response_body;
mod response_timeout;
mod retry;
mod transport;
mod tunnel;
mod upgrade;

use std::sync::Arc;

pub use error::ForwardError;
pub use headers::{
    HOST_COOKIES, ORIGIN_HEADERS, OWN_COOKIES, cookie_name, is_own_cookie, speaks_for_the_origin,
};
pub use tunnel::reauthorization::{Reauthorize, Reauthorized};

use crate::lifecycle::Tasks;
use crate::protocol::status::{Request, Response};
use crate::serve::app_login::{AppLogin, Logins};
use crate::serve::authorization::Permit;
use crate::serve::certificates::KubeletAccess;
use crate::serve::client::ClientInfo;
use crate::serve::config::ForwardConfig;
use crate::serve::connection::Peer;
use crate::serve::endpoint::{Endpoint, EndpointOrder, Outliers};
use crate::serve::fairness::{Full, Slots};
use crate::serve::request_context::RequestContext;
use offered_protocol::requested_protocol;
use transport::connector::Connector;
use transport::pool::Pool;

/// A response, and the request that it is the response to: its permit, the endpoint that it was sent to, and the login
/// at the app that went along.
#[derive(Debug)]
pub struct Forwarded<'p> {
    permit: &'p Permit,
    endpoint: Endpoint,
    login: AppLogin,
    response: Response,
}

impl<'p> Forwarded<'p> {
    pub fn into_parts(self) -> (&'p Permit, Endpoint, AppLogin, Response) {
        (self.permit, self.endpoint, self.login, self.response)
    }
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
    connector: Connector,
    logins: Logins,
    pool: Arc<Pool>,
    tunnels: Arc<Slots>,
    authorizer: Arc<dyn Reauthorize>,
    tasks: Tasks,
}

/// Who asked, and what is known of how their request goes on.
#[derive(Debug, Clone, Copy)]
struct ForwardContext<'a> {
    peer: &'a Peer,
    permit: &'a Permit,
    request_context: &'a Arc<RequestContext>,
    config: &'a ForwardConfig,
    client: &'a ClientInfo,
}

impl Forward {
    pub fn new(
        config: ForwardConfig,
        credentials: Credentials,
        outliers: Outliers,
        authorizer: Arc<dyn Reauthorize>,
        tasks: Tasks,
    ) -> Self {
        let pool = Arc::new(Pool::new(
            config.idle_connection_lifetime,
            config.max_idle_per_endpoint,
        ));
        // Required: without the sweep, idle connections would be held for as long as their backends like.
        tasks.spawn_required("connection-pool", Arc::clone(&pool).sweep());
        Self {
            connector: Connector::new(config.clone(), credentials.kubelet, outliers),
            logins: credentials.logins,
            tunnels: Slots::new(config.max_tunnels),
            authorizer,
            config,
            pool,
            tasks,
        }
    }

    /// Sends a request to the first of the endpoints that were chosen for it.
    ///
    /// Cancel-safe: when the caller is gone and this future is dropped, so is the backend's connection.
    ///
    /// # Errors
    /// There is no response that can be passed on; see [`ForwardError`].
    pub async fn send<'p>(
        &self,
        request_context: &Arc<RequestContext>,
        peer: &Peer,
        client: &ClientInfo,
        endpoints: EndpointOrder<'p>,
        request: Box<Request>,
    ) -> Result<Forwarded<'p>, ForwardError> {
        let context = ForwardContext {
            peer,
            permit: endpoints.permit(),
            request_context,
            config: &self.config,
            client,
        };
        match requested_protocol(&request, endpoints.first().scheme)? {
            // On the heap, as an upgrade is rare and large, and the future of every request would have to have room for
            // it.
            Some(protocol) => Box::pin(self.upgrade(context, endpoints, request, protocol)).await,
            None => self.exchange(context, endpoints, request).await,
        }
    }

    /// How often there was no slot for a tunnel, for this reason.
    pub fn tunnels_refused(&self, full: Full) -> u64 {
        self.tunnels.refused(full)
    }

    /// Tunnels under way.
    pub fn tunnels(&self) -> usize {
        self.tunnels.taken()
    }

    /// Connections that wait for a request.
    pub fn idle_connections(&self) -> usize {
        self.pool.idle()
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! 7, send it on. In: a [`Permit`], a [`EndpointOrder`], the request. Out: the backend's answer, and which endpoint gave it.
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
mod cross_site;
mod error;
mod exchange;
mod expect;
mod headers;
mod login;
mod page_token;
mod response_timeout;
mod seen;
mod transport;
mod tunnel;
mod upgrade;

use std::sync::Arc;

pub use cross_site::CrossSite;
pub use error::ForwardError;
pub use headers::{
    HOST_COOKIES, LOGIN_COOKIE, ORIGIN_HEADERS, OWN_COOKIES, is_own_cookie, speaks_for_the_origin,
};
use http::{HeaderMap, HeaderValue, header};
pub use login::{LOGIN_LIFETIME, Logins, Presented};
pub use page_token::PageTokens;
pub use seen::{Known, Seen};
pub use tunnel::reauthorization::{Answer, Reauthorize};

use crate::lifecycle::Tasks;
use crate::protocol::envelope::{NoOrigin, OwnOrigin};
use crate::protocol::fetch_metadata;
use crate::protocol::fetch_metadata::CrossSitePolicy;
use crate::protocol::status::{Request, Response};
use crate::serve::api::Resource;
use crate::serve::authentication::Method;
use crate::serve::authorization::Permit;
use crate::serve::certificates::KubeletAccess;
use crate::serve::cluster::ServiceSettings;
use crate::serve::config::ForwardConfig;
use crate::serve::connection::Peer;
use crate::serve::endpoint::{Endpoint, EndpointOrder, Outliers};
use crate::serve::fairness::{Full, Places};
use crate::serve::request_context::RequestContext;
use transport::connector::Dialer;
use transport::pool::Pool;
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
    pub page_tokens: PageTokens,
}

/// Sends requests on.
#[derive(Debug)]
pub struct Forward {
    config: ForwardConfig,
    dialer: Dialer,
    logins: Logins,
    page_tokens: PageTokens,
    pool: Arc<Pool>,
    tunnels: Arc<Places>,
    authorizer: Arc<dyn Reauthorize>,
    tasks: Tasks,
}

/// Who asked, and how their request goes on.
#[derive(Debug, Clone, Copy)]
struct Sender<'a> {
    peer: &'a Peer,
    permit: &'a Permit,
    context: &'a Arc<RequestContext>,
    config: &'a ForwardConfig,
    seen: &'a Seen,
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
        tasks.spawn_required("connection-pool", Arc::clone(&pool).sweep());
        Self {
            dialer: Dialer::new(config.clone(), credentials.kubelet, outliers),
            logins: credentials.logins,
            page_tokens: credentials.page_tokens,
            tunnels: Places::new(config.max_tunnels),
            authorizer,
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
        context: &Arc<RequestContext>,
        choice: EndpointOrder,
        request: Box<Request>,
    ) -> Result<Forwarded, ForwardError> {
        let sender = Sender {
            peer,
            permit,
            context,
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

    /// How the browser sees the target, as far as its request says it. The token of a page is taken out of the request.
    ///
    /// # Errors
    /// The origin of an envelope is neither loopback nor listed: any caller could choose the backend's `Host` by it.
    pub fn seen(
        &self,
        permit: &Permit,
        own: Option<OwnOrigin>,
        request: &mut Request,
    ) -> Result<Seen, NoOrigin> {
        if let Some(own) = own {
            let listed = self.known(None);
            return match own.is_loopback() || listed.holds(&own.to_string()) {
                true => Ok(Seen::at(own)),
                false => Err(NoOrigin),
            };
        }
        let token = self.page_tokens.take(permit, request.headers_mut());
        if !fetch_metadata::tells_of_a_page(request.headers()) {
            return Ok(Seen::unsaid(token));
        }
        let prefix = permit.info().prefix();
        let known = self.known(own_origin(permit, request));
        Ok(Seen::of(request.headers(), prefix, &known, token))
    }

    /// Refuses what a page of another site may not ask of the target.
    ///
    /// # Errors
    /// [`CrossSite`] says what to do about it.
    pub fn guard(
        &self,
        permit: &Permit,
        seen: &Seen,
        settings: &ServiceSettings,
        request: &Request,
    ) -> Result<(), CrossSite> {
        if self.config.cross_site == CrossSitePolicy::Allow
            || !fetch_metadata::tells_of_a_page(request.headers())
        {
            return Ok(());
        }
        let own = match &seen.own {
            Some(own) => Some(own.to_string()),
            None => own_origin(permit, request),
        };
        cross_site::check(request, seen, &self.known(own), settings.isolation)
    }

    fn known(&self, own: Option<String>) -> Known<'_> {
        Known {
            listed: &self.config.external_origins,
            own,
        }
    }

    /// The `Authorization` that the backend gets of what is meant for it: at its own origin what was sent there, elsewhere
    /// what [`login`] makes of the request.
    fn authorization(&self, sender: Sender<'_>, headers: &HeaderMap) -> Option<HeaderValue> {
        match &sender.seen.own {
            Some(_) if sender.permit.info().resource == Resource::Nodes => None,
            Some(_) => headers.get(header::AUTHORIZATION).cloned(),
            None => self
                .logins
                .authorization(sender.permit, sender.seen, headers),
        }
    }

    /// What opens and seals logins at apps.
    pub fn logins(&self) -> &Logins {
        &self.logins
    }

    /// How often there was no place for a tunnel, for this reason.
    pub fn tunnels_refused(&self, full: Full) -> u64 {
        self.tunnels.refused(full)
    }

    /// Tunnels under way.
    pub fn tunnels(&self) -> usize {
        self.tunnels.taken()
    }

    /// Kept connections that wait for a request.
    pub fn kept_connections(&self) -> usize {
        self.pool.waiting()
    }
}

/// What a direct caller sent the request to. Through the front proxy nobody knows.
fn own_origin(permit: &Permit, request: &Request) -> Option<String> {
    let headers = request.headers();
    // Programs say nothing that it would be compared with.
    let is_compared = headers.contains_key(header::ORIGIN) || headers.contains_key(header::REFERER);
    if !is_compared || permit.caller().method == Method::FrontProxy {
        return None;
    }
    let host = fetch_metadata::line(headers, &header::HOST);
    let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str))?;
    Some(format!("https://{host}"))
}

#[cfg(test)]
pub(crate) mod tests;

//! 3, who asks. In: the [`Peer`] and the request. Out: a [`Caller`], and the request without any credential.
//!
//! The order is that of k8s.io/apiserver (`authenticatorfactory/delegating.go`): the front proxy, a client certificate,
//! a bearer token, a bearer token in the WebSocket sub-protocol; the first success wins. Anonymous is only who brought
//! no credential at all: one that nobody knows is a refusal, never a downgrade. A direct caller without a credential is
//! refused too, unless `--anonymous-auth` is given: through kube-apiserver anonymous users come under their name.
//!
//! Refuses: 401 for an unknown credential or none, 400 for `Impersonate-*` from a direct caller, 429 when too many
//! unknown callers wait, 500 when a token could not be reviewed. On HTTP/2 an unknown or anonymous direct caller loses
//! the connection after the response.

mod bearer_token;
mod claims;
mod client_certificate;
mod credentials;
mod error;
mod front_proxy;
mod token_header;
mod trailers;
mod user;
mod verification;

use std::sync::Arc;

use http::HeaderMap;

pub use error::{AuthenticationError, ReviewError};
pub use user::User;

use bearer_token::TokenReviews;
use user::{ANONYMOUS, UNAUTHENTICATED};

use crate::protocol::status::Request;
use crate::serve::certificates::Trust;
use crate::serve::config::{AnonymousAuth, AuthenticationConfig};
use crate::serve::connection::{Peer, PeerClass};
use crate::serve::fairness::{ReviewLimit, SlotOwner};
use crate::serve::request_context::RequestContext;

/// How the caller proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    FrontProxy,
    ClientCertificate,
    BearerToken,
    Anonymous,
}

/// An identified caller and the way they came in.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: Arc<User>,
    pub method: Method,
}

impl Caller {
    /// Whose share of everything this caller takes.
    pub fn slot_owner(&self) -> SlotOwner<'_> {
        match self.user.is_master() {
            true => SlotOwner::Master,
            false => SlotOwner::User(&self.user.name),
        }
    }
}

/// Finds out who asks.
#[derive(Debug)]
pub struct Authentication {
    trust: Arc<Trust>,
    tokens: TokenReviews,
    anonymous: Option<Arc<User>>,
}

/// Takes claims of an identity out of what a request brought inside another form.
#[derive(Debug, Clone)]
pub struct ClaimFilter(Arc<Trust>);

impl ClaimFilter {
    pub fn new(trust: Arc<Trust>) -> Self {
        Self(trust)
    }

    /// Takes every claim of an identity out of these headers.
    pub fn remove_claims(&self, headers: &mut HeaderMap) {
        let configured = self.0.request_header.load();
        credentials::remove_claims(headers, configured.as_deref());
    }
}

impl Authentication {
    pub fn new(
        config: &AuthenticationConfig,
        trust: Arc<Trust>,
        client: kube::Client,
        limit: Arc<ReviewLimit>,
    ) -> Self {
        let anonymous = || User {
            name: ANONYMOUS.to_owned(),
            groups: vec![UNAUTHENTICATED.to_owned()],
            ..User::default()
        };
        Self {
            trust,
            tokens: TokenReviews::new(config, client, limit),
            anonymous: match config.anonymous {
                AnonymousAuth::Refused => None,
                AnonymousAuth::Accepted => Some(Arc::new(anonymous())),
            },
        }
    }

    /// Finds out who asks, and takes every credential and every claim of an identity out of the request.
    ///
    /// # Errors
    /// A credential came and none of those that came is known; see [`AuthenticationError`].
    pub async fn identify(
        &self,
        context: &RequestContext,
        peer: &Peer,
        request: Box<Request>,
    ) -> Result<(Caller, Box<Request>), AuthenticationError> {
        let (caller, request) = self.identify_reader(peer, request).await?;
        context.note(|record| {
            record.user.clone_from(&caller.user.name);
            record.groups = caller.user.groups.len();
            record.identified = context.time();
        });
        Ok((caller, request))
    }

    /// The same for who reads a document of this server, of which no record is kept.
    ///
    /// # Errors
    /// As [`Authentication::identify`].
    pub async fn identify_reader(
        &self,
        peer: &Peer,
        mut request: Box<Request>,
    ) -> Result<(Caller, Box<Request>), AuthenticationError> {
        // Everything below needs the outcome, and a refusal too must be known before the request is taken apart.
        let caller = self.caller(peer, request.headers()).await;
        let is_stranger = |caller: &Caller| caller.method == Method::Anonymous;
        let is_unknown = caller.as_ref().map_or(true, is_stranger);
        // The connection that many users share does not end for a request in which the front proxy names nobody.
        let is_shared = || front_proxy::is_front_proxy(&self.trust, peer).unwrap_or(false);
        if is_unknown && request.version() == http::Version::HTTP_2 && !is_shared() {
            peer.retire();
        }
        let caller = caller?;
        // The front proxy came before its CA was known here. Its next connection gets the limits that it needs.
        if caller.method == Method::FrontProxy && peer.class() == PeerClass::Stranger {
            peer.retire();
        }
        // A front proxy has done the impersonation itself, and its headers say nothing of it any more.
        if caller.method != Method::FrontProxy && credentials::impersonates(request.headers()) {
            return Err(AuthenticationError::Impersonation);
        }
        let configured = self.trust.request_header.load();
        // After the last reader of the credentials: no stage behind this one ever sees them.
        credentials::remove(request.headers_mut(), configured.as_deref());
        trailers::remove_claims(request.body_mut(), configured.as_ref());
        Ok((caller, request))
    }

    /// Whether it is known yet whose certificates speak for others.
    pub fn knows_front_proxy(&self) -> bool {
        self.trust.request_header.load().is_some()
    }

    /// Whose connection it is, as its certificate says now.
    pub fn classify(trust: &Trust, peer: &Peer) -> PeerClass {
        match front_proxy::is_front_proxy(trust, peer) {
            Ok(true) => PeerClass::FrontProxy,
            Ok(false) | Err(_) => PeerClass::Stranger,
        }
    }

    /// How many tokens were reviewed.
    pub fn reviews(&self) -> u64 {
        self.tokens.asked()
    }

    async fn caller(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
    ) -> Result<Caller, AuthenticationError> {
        let mut failed = None;
        let known = |user, method| Ok(Caller { user, method });
        // In the order of k8s.io/apiserver. A refusal does not end the search, as one credential may be good beside
        // another that is not.
        match front_proxy::identify(&self.trust, peer, headers) {
            Ok(Some(user)) => return known(Arc::new(user.authenticated()), Method::FrontProxy),
            Ok(None) => {}
            // The first refusal is the one that is told.
            Err(refused) => failed = Some(refused),
        }
        match client_certificate::identify(&self.trust, peer) {
            Ok(Some(user)) => {
                return known(Arc::new(user.authenticated()), Method::ClientCertificate);
            }
            Ok(None) => {}
            Err(refused) => failed = failed.or(Some(refused)),
        }
        // Last, as it is the only one that may ask the API server.
        match self.tokens.identify(peer.address().ip(), headers).await {
            Ok(Some(user)) => return known(user, Method::BearerToken),
            Ok(None) => {}
            // A token that was not reviewed may be good, so that is the news, whatever else failed.
            Err(refused @ (AuthenticationError::Review(_) | AuthenticationError::Crowded)) => {
                failed = Some(refused);
            }
            Err(refused) => failed = failed.or(Some(refused)),
        }
        // Whoever brought a credential that nobody knows is refused and never made anonymous.
        match (failed, &self.anonymous) {
            (Some(refused), _) => Err(refused),
            (None, Some(anonymous)) => known(Arc::clone(anonymous), Method::Anonymous),
            (None, None) => Err(AuthenticationError::Anonymous),
        }
    }
}

#[cfg(test)]
mod tests;

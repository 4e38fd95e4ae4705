//! 3, who asks. In: the [`Peer`] and the request. Out: a [`Caller`], and the request without any credential.
//!
//! The order is that of k8s.io/apiserver (`authenticatorfactory/delegating.go`): the front proxy, a client certificate, a
//! bearer token, a bearer token in the WebSocket sub-protocol; the first success wins. Anonymous is only who brought no
//! credential at all: one that nobody knows is a refusal, never a downgrade. A direct caller without a credential is refused
//! too, unless `--anonymous-auth` is given: through kube-apiserver anonymous users come under their name.
//!
//! Refuses: 401 for an unknown credential or none, 400 for `Impersonate-*` from a direct caller, 429 when too many unknown
//! callers wait, 500 when a token could not be reviewed. On HTTP/2 an unknown or anonymous direct caller loses the connection after the response.

mod bearer_token;
mod claims;
mod client_certificate;
mod credentials;
mod front_proxy;
mod token_header;
mod trailers;
mod verification;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;

use bearer_token::TokenReviews;

use crate::protocol::status::{Request, Status};
use crate::serve::certificates::Trust;
use crate::serve::cluster::ApiServerError;
use crate::serve::config::{AnonymousAuth, AuthenticationConfig};
use crate::serve::connection::{Peer, PeerClass};
use crate::serve::fairness::{ReviewLimit, SlotOwner, TooManyReviews};
use crate::serve::refusal::Refuse;
use crate::serve::request_context::RequestContext;

/// The group of everybody who is known.
const AUTHENTICATED: &str = "system:authenticated";

/// The group of everybody who is not.
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// Members may do everything, as everywhere in Kubernetes; without this nobody could repair a broken authorizer.
const MASTERS: &str = "system:masters";

const ANONYMOUS: &str = "system:anonymous";

/// The caller, as Kubernetes knows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct User {
    pub name: String,
    pub uid: Option<String>,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

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

/// Why nobody knows who asks.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    #[error("the client certificate is of no CA that is trusted now")]
    Certificate(#[source] Arc<rustls::Error>),
    #[error("the certificate's name {0:?} is not one of the front proxy's")]
    FrontProxyName(String),
    #[error("the client certificate can't be read")]
    Unparsable,
    #[error("the bearer token is not known")]
    Token,
    #[error("the WebSocket sub-protocol holds no usable token")]
    WebSocketToken,
    #[error("the token could not be reviewed")]
    Review(#[source] Arc<ReviewError>),
    #[error("too many callers that are not known yet, try again later")]
    Crowded,
    #[error("no credential came, and anonymous requests are not accepted here")]
    Anonymous,
    #[error("impersonation is not offered here; ask kube-apiserver")]
    Impersonation,
}

/// Why a review gave no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    #[error(transparent)]
    Limited(#[from] TooManyReviews),
    #[error(transparent)]
    ApiServerError(#[from] ApiServerError),
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

impl User {
    /// Bytes that it takes to remember it, about.
    pub fn size(&self) -> usize {
        let texts = |texts: &[String]| -> usize {
            let size = |text: &String| text.len() + size_of::<String>();
            texts.iter().map(size).sum()
        };
        let extra = self.extra.iter();
        let extra: usize = extra.map(|(key, values)| key.len() + texts(values)).sum();
        size_of::<Self>() + self.name.len() + texts(&self.groups) + extra
    }

    /// Whether they may do everything, whatever is full and whatever an authorizer says.
    pub fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }

    /// Adds the group of everybody who is known, unless the groups say otherwise already.
    fn authenticated(mut self) -> Self {
        let decided = |group: &String| group == AUTHENTICATED || group == UNAUTHENTICATED;
        // A front proxy may name `system:anonymous`, who must not become somebody by passing through here.
        if self.name != ANONYMOUS && !self.groups.iter().any(decided) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }
}

impl Refuse for AuthenticationError {
    /// What the caller is told: one word, as from Kubernetes, except where it is not their credential's fault.
    fn status(&self) -> Status {
        match self {
            Self::Review(_) => Status::internal(self.to_string()),
            Self::Impersonation => Status::bad_request(self.to_string()),
            Self::Crowded => Status::too_many_requests(self.to_string()),
            Self::Certificate(_)
            | Self::FrontProxyName(_)
            | Self::Unparsable
            | Self::Token
            | Self::Anonymous
            | Self::WebSocketToken => Status::unauthorized(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "certificate",
            Self::FrontProxyName(_) => "front_proxy_name",
            Self::Unparsable => "certificate_unparsable",
            Self::Token => "token",
            Self::WebSocketToken => "websocket_token",
            Self::Review(_) => "token_review",
            Self::Crowded => "crowded_unknown",
            Self::Anonymous => "anonymous",
            Self::Impersonation => "impersonation",
        }
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

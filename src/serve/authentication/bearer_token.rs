//! Bearer tokens, judged by the API server in a TokenReview and remembered for seconds.
//!
//! Yes and no are remembered equally long and never past the token's own end; a review that failed is not remembered. A
//! burst with one new token is one review. A token that has never been somebody's is a stranger's: its review is
//! limited with those of all strangers, and its result is kept apart, so that strangers push out nobody's. The memory's
//! keys are keyed hashes, so that a core dump holds no token.
//!
//! Kubernetes: `plugin/pkg/authenticator/token/webhook/webhook.go` and `pkg/authentication/token/cache/` of
//! k8s.io/apiserver.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::{hmac, rand};
use foldhash::quality::RandomState;
use http::HeaderMap;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::{Api, PostParams};
use moka::Expiry;
use moka::future::Cache;
use tokio::sync::Semaphore;

use super::token_header::{bearer, websocket_token};
use super::{AuthenticationError, ReviewError, User, claims};
use crate::serve::cluster::call_with_retries;
use crate::serve::config::AuthenticationConfig;
use crate::serve::fairness::ReviewLimit;

/// Bytes of the responses that are remembered: of tokens that are somebody's, and of those that nobody has seen before.
const MAX_KNOWN_BYTES: u64 = 8 << 20;
const MAX_UNKNOWN_BYTES: u64 = 2 << 20;

/// TokenReviews that were somebody's are treated as such for so long after their last review, and so many of them.
const PROVEN_LIFETIME: Duration = Duration::from_secs(60 * 60);
const MAX_PROVEN: u64 = 10_000;

/// Requests that wait for the review of their token.
const MAX_KNOWN_WAITING: usize = 1024;
const MAX_UNKNOWN_WAITING: usize = 256;

/// No token is longer: a request's headers hold 1 MiB, but nobody is made to hash or send that.
const MAX_TOKEN_BYTES: usize = 64 << 10;

/// Longer than any response is remembered: what a token that says nothing of its end has to live.
const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

type ReviewCache = Cache<[u8; 32], ReviewedToken, RandomState>;

/// Who the tokens belong to.
#[derive(Debug)]
pub(super) struct TokenReviews {
    reviews: Api<TokenReview>,
    audiences: Vec<String>,
    key: hmac::Key,
    known: Lane,
    unknown: Lane,
    /// TokenReviews that were somebody's a while ago.
    proven: Cache<[u8; 32], (), RandomState>,
    limit: Arc<ReviewLimit>,
    asked: AtomicU64,
}

/// What is kept for tokens of one kind.
#[derive(Debug)]
struct Lane {
    responses: ReviewCache,
    waiting: Semaphore,
}

/// Whose turn a review takes.
#[derive(Debug, Clone, Copy)]
enum ReviewedFor {
    Proven([u8; 32]),
    Stranger(IpAddr),
}

/// What a review said; `None` for a token that is nobody's.
#[derive(Debug, Clone)]
struct ReviewedToken {
    user: Option<Arc<User>>,
    lifetime: Duration,
}

#[derive(Debug)]
struct Lifetime;

impl Expiry<[u8; 32], ReviewedToken> for Lifetime {
    fn expire_after_create(
        &self,
        _key: &[u8; 32],
        reviewed: &ReviewedToken,
        _now: Instant,
    ) -> Option<Duration> {
        Some(reviewed.lifetime)
    }
}

impl ReviewedToken {
    /// Bytes that it takes to remember it.
    fn size(&self) -> u32 {
        // An allowance for what the cache itself keeps of an entry.
        const ENTRY: usize = 256;
        let user = self.user.as_ref().map_or(0, |user| user.size());
        u32::try_from(ENTRY + user).unwrap_or(u32::MAX)
    }
}

impl TokenReviews {
    pub(super) fn new(
        config: &AuthenticationConfig,
        client: kube::Client,
        limit: Arc<ReviewLimit>,
    ) -> Self {
        let lane = |bytes, waiting| Lane {
            responses: Cache::builder()
                .max_capacity(bytes)
                .weigher(|_: &[u8; 32], reviewed: &ReviewedToken| reviewed.size())
                .expire_after(Lifetime)
                .time_to_live(config.token_cache_lifetime)
                .build_with_hasher(RandomState::default()),
            waiting: Semaphore::new(waiting),
        };
        let mut secret = [0; 32];
        // Made anew by each process and kept nowhere else.
        rand::fill(&mut secret).expect("the system has randomness");
        Self {
            reviews: Api::all(client),
            audiences: config.audiences.clone(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            known: lane(MAX_KNOWN_BYTES, MAX_KNOWN_WAITING),
            unknown: lane(MAX_UNKNOWN_BYTES, MAX_UNKNOWN_WAITING),
            proven: Cache::builder()
                .max_capacity(MAX_PROVEN)
                .time_to_live(PROVEN_LIFETIME)
                .build_with_hasher(RandomState::default()),
            limit,
            asked: AtomicU64::new(0),
        }
    }

    /// How many reviews were asked for.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// The user of the request's token; `None` when it brought none.
    pub(super) async fn identify(
        &self,
        address: IpAddr,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<User>>, AuthenticationError> {
        // In the order of kube-apiserver: the header, then the protocol of a WebSocket.
        if let Some(token) = bearer(headers) {
            return self.review(address, token).await.map(Some);
        }
        match websocket_token(headers)? {
            Some(token) => self.review(address, &token).await.map(Some),
            None => Ok(None),
        }
    }

    async fn review(&self, address: IpAddr, token: &str) -> Result<Arc<User>, AuthenticationError> {
        // Before it is hashed, as hashing is work that a stranger could ask for without end.
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthenticationError::Token);
        }
        let key = self.cache_key(token);
        // On its own, as most tokens are found here and the way below needs a large future.
        let reviewed = match self.known.responses.get(&key).await {
            Some(reviewed) => reviewed,
            None => Box::pin(self.first_response(address, key, token)).await?,
        };
        reviewed.user.ok_or(AuthenticationError::Token)
    }

    /// What is said of a token of which nothing is remembered among those of known users.
    async fn first_response(
        &self,
        address: IpAddr,
        key: [u8; 32],
        token: &str,
    ) -> Result<ReviewedToken, AuthenticationError> {
        // Who was somebody an hour ago does not wait among strangers, whatever they flood the server with.
        let (lane, asker) = if self.proven.contains_key(&key) {
            (&self.known, ReviewedFor::Proven(key))
        } else {
            (&self.unknown, ReviewedFor::Stranger(address))
        };
        // Before a place to wait is taken: what is remembered needs none.
        if let Some(reviewed) = lane.responses.get(&key).await {
            return Ok(reviewed);
        }
        // Refused at once instead of waiting for a place: waiting callers are memory, too.
        let waiting = lane.waiting.try_acquire();
        let _waiting = waiting.map_err(|_| AuthenticationError::Crowded)?;
        // Together with all who bring the same token, and if the one that asks goes away, the next one does.
        let review = lane.responses.try_get_with(key, self.ask(asker, token));
        let reviewed = review.await.map_err(|failed| match *failed {
            ReviewError::Limited(_) => AuthenticationError::Crowded,
            // The failure is shared by all who waited and is not kept, so the next request asks again.
            ReviewError::ApiServerError(_) => AuthenticationError::Review(Arc::clone(&failed)),
        })?;
        if reviewed.user.is_some() {
            // From now on it counts as somebody's, and strangers can't push it out.
            self.proven.insert(key, ()).await;
            self.known.responses.insert(key, reviewed.clone()).await;
        }
        Ok(reviewed)
    }

    /// Audiences are part of the key: a response for one audience says nothing about another.
    fn cache_key(&self, token: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in std::iter::once(token).chain(self.audiences.iter().map(String::as_str)) {
            // With its length before it, so that a token and an audience can't be cut elsewhere to the same bytes.
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        context
            .sign()
            .as_ref()
            .try_into()
            .expect("SHA-256 gives 32 bytes")
    }

    async fn ask(&self, asker: ReviewedFor, token: &str) -> Result<ReviewedToken, ReviewError> {
        let turn = match asker {
            // A stranger is refused where somebody known waits for a turn.
            ReviewedFor::Proven(key) => self.limit.known(&key).await,
            ReviewedFor::Stranger(address) => self.limit.unknown(address),
        };
        let _turn = turn?;
        // When it is sent and not when it is wanted for, as the number stands for load of the API server.
        self.asked.fetch_add(1, Ordering::Relaxed);
        let audiences = (!self.audiences.is_empty()).then(|| self.audiences.clone());
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences,
            },
            ..TokenReview::default()
        };
        let params = PostParams::default();
        // A review changes nothing, so it may be asked for once more.
        let response = call_with_retries(|| self.reviews.create(&params, &review)).await?;
        let user = response
            .status
            .and_then(|status| self.accept(status))
            .map(Arc::new);
        // Read without its signature: a wrong end could only shorten how long the response is remembered.
        let lifetime = claims::remaining_life(token, SystemTime::now()).unwrap_or(MAX_TTL);
        Ok(ReviewedToken { user, lifetime })
    }

    fn accept(&self, status: TokenReviewStatus) -> Option<User> {
        let said = status.audiences.unwrap_or_default();
        // An API server that names no audience knows none, and vouches for its own.
        let for_us = self.audiences.is_empty()
            || said.is_empty()
            || said
                .iter()
                .any(|audience| self.audiences.contains(audience));
        if status.authenticated != Some(true) || !for_us {
            return None;
        }
        let user = status.user?;
        let user = User {
            name: user.username?,
            uid: user.uid.filter(|uid| !uid.is_empty()),
            groups: user.groups.unwrap_or_default(),
            extra: user
                .extra
                .map(BTreeMap::into_iter)
                .into_iter()
                .flatten()
                .collect(),
        };
        Some(user.authenticated())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::config::{AnonymousAuth, AuthenticationLookup};

    fn tokens() -> TokenReviews {
        let config = AuthenticationConfig {
            client_ca_file: None,
            request_header: None,
            lookup: AuthenticationLookup::Required,
            anonymous: AnonymousAuth::Refused,
            token_cache_lifetime: MAX_TTL,
            audiences: Vec::new(),
        };
        let (service, _api) = tower_test::mock::pair::<
            http::Request<kube::client::Body>,
            http::Response<kube::client::Body>,
        >();
        let client = kube::Client::new(service, "default");
        TokenReviews::new(&config, client, Arc::default())
    }

    #[tokio::test]
    async fn of_tokens_that_were_somebodys_the_last_ten_thousand_are_known() {
        let tokens = tokens();
        for at in 0..11_000_u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&at.to_le_bytes());
            tokens.proven.insert(key, ()).await;
        }
        tokens.proven.run_pending_tasks().await;
        assert_eq!(tokens.proven.entry_count(), 10_000);
    }

    #[tokio::test]
    async fn what_is_remembered_of_tokens_is_bounded_in_bytes() {
        let tokens = tokens();
        for (lane, most) in [
            (&tokens.known, MAX_KNOWN_BYTES),
            (&tokens.unknown, MAX_UNKNOWN_BYTES),
        ] {
            for at in 0..2000_u16 {
                let user = User {
                    name: "x".repeat(8 << 10),
                    ..User::default()
                };
                let reviewed = ReviewedToken {
                    user: Some(Arc::new(user)),
                    lifetime: MAX_TTL,
                };
                let mut key = [0; 32];
                key[..2].copy_from_slice(&at.to_le_bytes());
                lane.responses.insert(key, reviewed).await;
            }
            lane.responses.run_pending_tasks().await;
            let held = lane.responses.weighted_size();
            assert!(held <= most && held > most / 2, "{held} of {most}");
        }
    }
}

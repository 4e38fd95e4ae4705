//! The SubjectAccessReview: one for a burst of equal questions, its response remembered for seconds.
//!
//! Yes and no have a lifetime each; a review that failed is not remembered. The memory is bounded in bytes, as who asks
//! and for what is the callers' to choose. A question that would take much of it is asked every time; k8s.io/apiserver
//! does the same from 10 000 bytes on. Anonymous direct callers have a memory of their own, so that they push out
//! nobody's response.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use k8s_openapi::api::authorization::v1::{SubjectAccessReview, SubjectAccessReviewStatus};
use kube::api::{Api, PostParams};
use moka::Expiry;
use moka::future::Cache;

use super::AuthorizationError;
use super::attributes::Question;
use crate::serve::authentication::ReviewError;
use crate::serve::cluster::call_with_retries;
use crate::serve::config::AuthorizationConfig;
use crate::serve::fairness::ReviewLimit;

/// Bytes of all decisions that are remembered, their questions included. A usual one takes about 500.
const MAX_CACHE_BYTES: u64 = 12 << 20;

/// The same for anonymous direct callers.
const MAX_UNKNOWN_BYTES: u64 = 1 << 20;

/// A question that is larger is not remembered. A user in 1 000 groups with long names still is.
const MAX_QUESTION_BYTES: usize = 64 << 10;

/// What an authorizer's reason may have; the rest is cut off.
const MAX_REASON_BYTES: usize = 1024;

/// Asks, and remembers.
#[derive(Debug)]
pub(super) struct AccessReviews {
    api: Api<SubjectAccessReview>,
    known: ReviewCache,
    unknown: ReviewCache,
    limit: Arc<ReviewLimit>,
    asked: AtomicU64,
}

type ReviewCache = Cache<Question, Decision, RandomState>;

/// Whose turn a review takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asker {
    /// The user of the question.
    Known,
    /// Anonymous direct callers, who are all one.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Decision {
    Allowed,
    Denied(Arc<str>),
    Contradiction,
}

#[derive(Debug)]
struct Lifetimes {
    allowed: Duration,
    denied: Duration,
}

impl Expiry<Question, Decision> for Lifetimes {
    fn expire_after_create(
        &self,
        _: &Question,
        decision: &Decision,
        _now: Instant,
    ) -> Option<Duration> {
        match decision {
            Decision::Allowed => Some(self.allowed),
            Decision::Denied(_) => Some(self.denied),
            // Not remembered: it is an error of the authorizer, and the next review may have none.
            Decision::Contradiction => Some(Duration::ZERO),
        }
    }
}

impl AccessReviews {
    pub(super) fn new(
        config: &AuthorizationConfig,
        client: kube::Client,
        limit: Arc<ReviewLimit>,
    ) -> Self {
        let responses = |bytes| {
            Cache::builder()
                .max_capacity(bytes)
                // Weighed with the question, whose size the caller chooses.
                .weigher(|question: &Question, decision: &Decision| {
                    u32::try_from(question.size() + decision.size()).unwrap_or(u32::MAX)
                })
                .expire_after(Lifetimes {
                    allowed: config.allowed_lifetime,
                    denied: config.denied_lifetime,
                })
                .build_with_hasher(RandomState::default())
        };
        Self {
            api: Api::all(client),
            known: responses(MAX_CACHE_BYTES),
            unknown: responses(MAX_UNKNOWN_BYTES),
            limit,
            asked: AtomicU64::new(0),
        }
    }

    /// How many reviews were asked for.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) async fn decide(
        &self,
        asker: Asker,
        question: Question,
    ) -> Result<(), AuthorizationError> {
        let decision = self.decision(asker, &question).await;
        let decision = decision.map_err(|failed| match *failed {
            ReviewError::Limited(_) => AuthorizationError::Crowded,
            ReviewError::ApiServerError(_) => AuthorizationError::Review(failed),
        })?;
        match decision {
            Decision::Allowed => Ok(()),
            Decision::Denied(reason) => {
                Err(question.forbidden(Some(&*reason).filter(|reason| !reason.is_empty())))
            }
            Decision::Contradiction => Err(AuthorizationError::Contradiction),
        }
    }

    async fn decision(
        &self,
        asker: Asker,
        question: &Question,
    ) -> Result<Decision, Arc<ReviewError>> {
        let responses = match asker {
            Asker::Known => &self.known,
            Asker::Unknown => &self.unknown,
        };
        // Before a turn is asked for: what is remembered costs none.
        if let Some(decision) = responses.get(question).await {
            return Ok(decision);
        }
        let review = self.ask(asker, question);
        // Asked each time, so that one huge question does not push out thousands of others.
        if question.size() > MAX_QUESTION_BYTES {
            return Box::pin(review).await.map_err(Arc::new);
        }
        // Those who ask the same at the same time wait for one review. One that fails is told to all of them and not
        // remembered.
        Box::pin(responses.try_get_with_by_ref(question, review)).await
    }

    async fn ask(&self, asker: Asker, question: &Question) -> Result<Decision, ReviewError> {
        // The turn is taken inside, so of a burst of equal questions only one takes any.
        let turn = match asker {
            Asker::Known => self.limit.known(&question.user.name).await,
            Asker::Unknown => self.limit.unknown(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        };
        let _turn = turn?;
        self.asked.fetch_add(1, Ordering::Relaxed);
        let review = SubjectAccessReview {
            spec: question.spec(),
            ..SubjectAccessReview::default()
        };
        let params = PostParams::default();
        // The turn is held over the retries too, as they load the API server just the same.
        let response = call_with_retries(|| self.api.create(&params, &review)).await?;
        Ok(response
            // No status is no yes.
            .status
            .map_or_else(|| Decision::Denied("".into()), Decision::read))
    }
}

impl Decision {
    /// Only a plain yes is one.
    fn read(status: SubjectAccessReviewStatus) -> Self {
        match (status.allowed, status.denied.unwrap_or(false)) {
            (true, false) => Self::Allowed,
            (true, true) => Self::Contradiction,
            (false, _) => {
                let reason = status.reason.unwrap_or_default();
                // Cut where a character ends, as a text that is cut inside one is none.
                let end = reason.floor_char_boundary(MAX_REASON_BYTES);
                Self::Denied(reason[..end].into())
            }
        }
    }

    /// Bytes besides the question.
    fn size(&self) -> usize {
        // An allowance for what the cache itself keeps of an entry.
        const ENTRY: usize = 256;
        match self {
            Self::Allowed | Self::Contradiction => ENTRY,
            Self::Denied(reason) => ENTRY + reason.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower_test::mock;

    use super::*;
    use crate::serve::authentication::User;
    use crate::serve::authorization::attributes::Attributes;

    const MAX_TTL: Duration = Duration::from_secs(3600);

    type Handle = mock::Handle<http::Request<kube::client::Body>, http::Response<Body>>;

    fn reviews() -> (AccessReviews, Handle) {
        let (service, handle) = mock::pair();
        let config = AuthorizationConfig {
            allowed_lifetime: MAX_TTL,
            denied_lifetime: MAX_TTL,
        };
        let client = kube::Client::new(service, "default");
        (AccessReviews::new(&config, client, Arc::default()), handle)
    }

    fn question(path: String) -> Question {
        Question {
            user: Arc::new(User::default()),
            attributes: Attributes::Path { verb: "get", path },
        }
    }

    #[tokio::test]
    async fn what_is_remembered_of_rights_is_bounded_in_bytes() {
        let (reviews, _api) = reviews();
        for (responses, most) in [
            (&reviews.known, MAX_CACHE_BYTES),
            (&reviews.unknown, MAX_UNKNOWN_BYTES),
        ] {
            for at in 0..1000 {
                let question = question(format!("{at:016384}"));
                responses.insert(question, Decision::Allowed).await;
            }
            responses.run_pending_tasks().await;
            let held = responses.weighted_size();
            assert!(held <= most && held > most / 2, "{held} of {most}");
        }
    }

    #[tokio::test]
    async fn what_anonymous_callers_may_is_remembered_apart() {
        let (reviews, mut api) = reviews();
        let asked = question("/metrics".to_owned());
        for asker in [Asker::Unknown, Asker::Known, Asker::Unknown] {
            let responding = async {
                let (_, send) = api.next_request().await.expect("a review");
                let body = serde_json::json!({"apiVersion": "authorization.k8s.io/v1",
                    "kind": "SubjectAccessReview", "spec": {}, "status": {"allowed": true}});
                send.send_response(http::Response::new(Body::from(body.to_string())));
            };
            tokio::select! {
                biased;
                decided = reviews.decide(asker, asked.clone()) => decided.unwrap(),
                () = async { responding.await; std::future::pending().await } => {}
            }
        }
        assert_eq!(reviews.asked(), 2, "one for each of them");
    }
}

//! 4, may they. In: a [`Caller`] and a [`RequestInfo`]. Out: a [`Permit`], or a refusal.
//!
//! Asked of the API server by SubjectAccessReview for every request, front-proxied ones too: kube-aggregator has asked the
//! same before, but nothing guarantees that, and it may not have been kube-aggregator. Answers hold for seconds. An API
//! server that can't be asked is a refusal (500), never a pass.
//!
//! Kubernetes: `pkg/authorization/authorizerfactory/delegating.go` and `plugin/pkg/authorizer/webhook/webhook.go` of
//! k8s.io/apiserver.

mod access_review;
mod attributes;

use std::sync::Arc;

use access_review::Reviews;
use attributes::{Attributes, Question};

use crate::api::RequestInfo;
use crate::authentication::Caller;
use crate::cluster::Unanswered;
use crate::config::{ApiGroup, AuthorizationConfig};
use crate::status::{Status, Subject};

/// Members may do everything, as everywhere in Kubernetes; without this nobody could repair a broken authorizer.
const MASTERS: &str = "system:masters";

/// The proof that this caller may do what they asked. Nothing else makes one.
#[derive(Debug, Clone)]
pub struct Permit {
    caller: Caller,
    asked: RequestInfo,
}

impl Permit {
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub fn asked(&self) -> &RequestInfo {
        &self.asked
    }

    /// A permit for tests of later stages, which is in no other build.
    #[cfg(test)]
    pub(crate) fn for_tests(caller: Caller, asked: RequestInfo) -> Self {
        Self { caller, asked }
    }
}

/// Why there is no [`Permit`].
#[derive(Debug, thiserror::Error)]
pub enum AuthorizationError {
    #[error("{message}")]
    Forbidden {
        message: String,
        subject: Option<Subject>,
    },
    #[error("it could not be found out whether this is allowed")]
    Review(#[source] Arc<Unanswered>),
    #[error("the authorizer said both yes and no")]
    Contradiction,
}

impl AuthorizationError {
    pub fn status(&self) -> Status {
        match self {
            Self::Forbidden { message, subject } => {
                let status = Status::forbidden(message.clone());
                Status {
                    subject: subject.clone(),
                    ..status
                }
            }
            Self::Review(_) | Self::Contradiction => Status::internal(self.to_string()),
        }
    }

    /// One word for the log line and the metric label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Forbidden { .. } => "forbidden",
            Self::Review(_) => "access_review",
            Self::Contradiction => "contradiction",
        }
    }
}

/// Finds out whether callers may do what they ask.
#[derive(Debug)]
pub struct Authorization {
    group: ApiGroup,
    reviews: Reviews,
}

impl Authorization {
    pub fn new(group: ApiGroup, config: &AuthorizationConfig, client: kube::Client) -> Self {
        Self {
            group,
            reviews: Reviews::new(config, client),
        }
    }

    /// Permits a request for a proxy subresource.
    ///
    /// # Errors
    /// The caller may not, or it can't be found out; see [`AuthorizationError`].
    pub async fn authorize(
        &self,
        caller: Caller,
        asked: RequestInfo,
    ) -> Result<Permit, AuthorizationError> {
        let attributes = Attributes::of(&self.group, &asked);
        self.decide(&caller, attributes).await?;
        Ok(Permit { caller, asked })
    }

    /// Allows `get` of a path that is no resource, such as `/metrics`.
    ///
    /// # Errors
    /// As [`Authorization::authorize`].
    pub async fn authorize_path(
        &self,
        caller: &Caller,
        path: &str,
    ) -> Result<(), AuthorizationError> {
        self.decide(
            caller,
            Attributes::Path {
                verb: "get",
                path: path.to_owned(),
            },
        )
        .await
    }

    /// How many reviews were asked for.
    pub fn reviews(&self) -> u64 {
        self.reviews.asked()
    }

    async fn decide(
        &self,
        caller: &Caller,
        attributes: Attributes,
    ) -> Result<(), AuthorizationError> {
        if caller.user.groups.iter().any(|group| group == MASTERS) {
            return Ok(());
        }
        let question = Question {
            user: Arc::clone(&caller.user),
            attributes,
        };
        self.reviews.decide(question).await
    }
}

#[cfg(test)]
mod tests;

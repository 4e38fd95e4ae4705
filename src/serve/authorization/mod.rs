//! 4, may they. In: a [`Caller`] and a [`RequestInfo`]. Out: a [`Permit`], or a refusal.
//!
//! Asked of the API server by SubjectAccessReview for every request, front-proxied ones too: kube-aggregator has asked
//! the same before, but nothing guarantees that, and it may not have been kube-aggregator. Answers hold for seconds. An
//! API server that can't be asked is a refusal (500), never a pass.
//!
//! Kubernetes: `pkg/authorization/authorizerfactory/delegating.go` and `plugin/pkg/authorizer/webhook/webhook.go` of
//! k8s.io/apiserver.

mod access_review;
mod attributes;
mod error;

use std::sync::Arc;

pub use error::AuthorizationError;

use access_review::{AccessReviews, Asker};
use attributes::{Attributes, Question};

use crate::serve::api::RequestInfo;
use crate::serve::authentication::{Caller, Method};
use crate::serve::config::{ApiGroup, AuthorizationConfig};
use crate::serve::fairness::{ReviewLimit, SlotOwner};
use crate::serve::request_context::RequestContext;

/// The proof that this caller may do what they asked. Nothing else makes one.
#[derive(Debug, Clone)]
pub struct Permit {
    caller: Caller,
    info: RequestInfo,
}

impl Permit {
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whose share of everything this request takes.
    pub fn slot_owner(&self) -> SlotOwner<'_> {
        self.caller.slot_owner()
    }

    pub fn info(&self) -> &RequestInfo {
        &self.info
    }

    /// A permit for tests of later stages, which is in no other build.
    #[cfg(test)]
    pub(crate) fn for_tests(caller: Caller, info: RequestInfo) -> Self {
        Self { caller, info }
    }
}

/// Finds out whether callers may do what they ask.
#[derive(Debug)]
pub struct Authorization {
    group: ApiGroup,
    reviews: AccessReviews,
}

impl Authorization {
    pub fn new(
        group: ApiGroup,
        config: &AuthorizationConfig,
        client: kube::Client,
        limit: Arc<ReviewLimit>,
    ) -> Self {
        Self {
            group,
            reviews: AccessReviews::new(config, client, limit),
        }
    }

    /// Permits a request for a proxy subresource.
    ///
    /// # Errors
    /// The caller may not, or it can't be found out; see [`AuthorizationError`].
    pub async fn authorize(
        &self,
        context: &RequestContext,
        caller: Caller,
        info: RequestInfo,
    ) -> Result<Permit, AuthorizationError> {
        let permit = self.authorize_again(caller, info).await?;
        context.note(|record| record.authorized = context.time());
        Ok(permit)
    }

    /// Permits the next request of the same caller, to which a redirect leads.
    ///
    /// # Errors
    /// As [`Authorization::authorize`].
    pub async fn authorize_next(
        &self,
        context: &RequestContext,
        permit: Permit,
        info: RequestInfo,
    ) -> Result<Permit, AuthorizationError> {
        self.authorize(context, permit.caller, info).await
    }

    /// The same for a request that is under way: whether its caller may still do what they once might.
    ///
    /// # Errors
    /// As [`Authorization::authorize`].
    pub async fn authorize_again(
        &self,
        caller: Caller,
        info: RequestInfo,
    ) -> Result<Permit, AuthorizationError> {
        // Made of the same `RequestInfo` that the permit carries, so what was asked about is what will be done.
        let attributes = Attributes::of(&self.group, &info);
        self.decide(&caller, attributes).await?;
        Ok(Permit { caller, info })
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
        // As in k8s.io/apiserver: without it nobody could mend an authorizer that answers no one.
        if caller.user.is_master() {
            return Ok(());
        }
        // They have a memory of their own, so that strangers push out no response that is somebody's.
        let asker = match caller.method {
            Method::Anonymous => Asker::Unknown,
            Method::FrontProxy | Method::ClientCertificate | Method::BearerToken => Asker::Known,
        };
        let question = Question {
            user: Arc::clone(&caller.user),
            attributes,
        };
        self.reviews.decide(asker, question).await
    }
}

#[cfg(test)]
mod tests;

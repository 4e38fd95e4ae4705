//! Asks the cluster what the user may reach. Out: [`Rights`].
//!
//! Most people may reach all or are told by their rules, so the questions go from large to small: all Services of the
//! cluster, the rules of each namespace, and only where an authorizer can't list its rules, a namespace's Services all
//! and one by one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview, SelfSubjectRulesReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};

use super::cluster_error::ClusterError;
use super::rights::{self, NamespaceRights, RESOURCE, Rights, SUBRESOURCE, VERB};

const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions under way at a time.
const MAX_CONCURRENT: usize = 8;
/// Questions about single names in one namespace; what is beyond stays unknown.
const MAX_NAMES: usize = 200;

/// Asks for every name segment of every namespace. Only refused credentials fail it; all else leaves questions open.
pub(in crate::local::start_page) async fn review(
    client: Client,
    group: Arc<str>,
    questions: BTreeMap<String, Vec<String>>,
) -> Result<Rights, ClusterError> {
    let reviews = RightsReviews {
        client,
        group,
        refused: AtomicBool::new(false),
    };
    // One question answers for most people, as they may reach everything.
    if reviews.may("", "").await == Some(true) {
        return Ok(Rights {
            everywhere: true,
            ..Rights::default()
        });
    }
    let reviewed = questions
        .into_iter()
        .map(|(namespace, names)| reviews.namespace(namespace, names));
    // Some at a time: a cluster of a thousand namespaces must not get a thousand questions at once.
    let reviewed = stream::iter(reviewed).buffer_unordered(MAX_CONCURRENT);
    let reviewed = reviewed.filter_map(|response| async { response });
    let namespaces = reviewed.collect().await;
    // Looked at last: with refused credentials an empty result says nothing of rights.
    if reviews.refused.load(Ordering::Relaxed) {
        return Err(ClusterError::Unauthorized);
    }
    Ok(Rights {
        everywhere: false,
        namespaces,
    })
}

struct RightsReviews {
    client: Client,
    group: Arc<str>,
    /// Whether the credentials were refused.
    refused: AtomicBool,
}

impl RightsReviews {
    async fn namespace(
        &self,
        namespace: String,
        names: Vec<String>,
    ) -> Option<(String, NamespaceRights)> {
        let spec = SelfSubjectRulesReviewSpec {
            namespace: Some(namespace.clone()),
        };
        let review = SelfSubjectRulesReview {
            spec,
            ..SelfSubjectRulesReview::default()
        };
        let status = self.create(&review).await?.status?;
        let found = rights::from_rules(&status.resource_rules, &self.group);
        // Complete rules leave nothing to ask.
        if found == NamespaceRights::All || !status.incomplete {
            return Some((namespace, found));
        }
        // An authorizer that can't list its rules can still answer a question.
        if self.may(&namespace, "").await == Some(true) {
            return Some((namespace, NamespaceRights::All));
        }
        let mut reviewed = HashMap::new();
        for name in names.into_iter().take(MAX_NAMES) {
            if let Some(allowed) = self.may(&namespace, &name).await {
                reviewed.insert(name, allowed);
            }
        }
        Some((namespace, NamespaceRights::Asked(reviewed)))
    }

    /// Whether a name may be reached; an empty one is every name, an empty namespace every namespace.
    async fn may(&self, namespace: &str, name: &str) -> Option<bool> {
        let attributes = ResourceAttributes {
            verb: Some(VERB.to_owned()),
            group: Some(self.group.to_string()),
            resource: Some(RESOURCE.to_owned()),
            subresource: Some(SUBRESOURCE.to_owned()),
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            ..ResourceAttributes::default()
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        Some(self.create(&review).await?.status?.allowed)
    }

    /// A review that fails or is late leaves its question open.
    async fn create<K>(&self, review: &K) -> Option<K>
    where
        K: kube::Resource<DynamicType = ()>
            + serde::Serialize
            + serde::de::DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let api = Api::<K>::all(self.client.clone());
        let parameters = PostParams::default();
        let asking = api.create(&parameters, review);
        // Each has its own limit, so that one slow review does not hold the others.
        match tokio::time::timeout(RESPONSE_TIMEOUT, asking).await {
            Ok(Ok(response)) => Some(response),
            Ok(Err(failed)) => {
                tracing::debug!(error = %failed, "a review of the user's rights failed");
                let is_refused = ClusterError::of(&failed) == ClusterError::Unauthorized;
                self.refused.fetch_or(is_refused, Ordering::Relaxed);
                None
            }
            Err(_) => None,
        }
    }
}

//! What the authorizer is asked, and how its no reads.
//!
//! The words are Kubernetes' own (`pkg/endpoints/handlers/responsewriters/errors.go` of k8s.io/apiserver), so that
//! scripts and people recognise them.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReviewSpec,
};

use super::AuthorizationError;
use crate::protocol::status::Subject;
use crate::serve::api::{RequestInfo, Resource, Verb};
use crate::serve::authentication::User;
use crate::serve::config::ApiGroup;

/// The subresource of everything that is served here.
const SUBRESOURCE: &str = "proxy";

/// Who wants to do what. Two equal questions have one response.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) user: Arc<User>,
    pub(super) attributes: Attributes,
}

/// What is to be done, to what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Attributes {
    Resource {
        group: Arc<str>,
        version: &'static str,
        resource: Resource,
        verb: Verb,
        namespace: Arc<str>,
        name: Arc<str>,
    },
    Path {
        verb: &'static str,
        path: String,
    },
}

impl Attributes {
    pub(super) fn of(group: &ApiGroup, asked: &RequestInfo) -> Self {
        Self::Resource {
            group: group.name.clone(),
            version: group.version,
            resource: asked.resource,
            verb: asked.verb,
            namespace: asked.namespace.clone(),
            name: asked.name.clone(),
        }
    }
}

impl Question {
    /// Bytes that it takes to remember this question.
    pub(super) fn size(&self) -> usize {
        let chosen = match &self.attributes {
            Attributes::Resource {
                namespace, name, ..
            } => namespace.len() + name.len(),
            Attributes::Path { path, .. } => path.len(),
        };
        size_of::<Self>() + chosen + self.user.size()
    }

    /// The question as the API server wants it.
    pub(super) fn spec(&self) -> SubjectAccessReviewSpec {
        // Empty and absent mean the same to the authorizer, and absent is what kube-apiserver itself sends.
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (resource_attributes, non_resource_attributes) = match &self.attributes {
            Attributes::Resource {
                group,
                version,
                resource,
                verb,
                namespace,
                name,
            } => {
                let attributes = ResourceAttributes {
                    group: some(group),
                    version: some(version),
                    resource: some(resource.as_str()),
                    subresource: some(SUBRESOURCE),
                    verb: some(verb.as_str()),
                    namespace: some(namespace),
                    name: some(name),
                    ..ResourceAttributes::default()
                };
                (Some(attributes), None)
            }
            Attributes::Path { verb, path } => {
                let attributes = NonResourceAttributes {
                    verb: some(verb),
                    path: some(path),
                };
                (None, Some(attributes))
            }
        };
        SubjectAccessReviewSpec {
            user: some(&self.user.name),
            uid: self.user.uid.clone(),
            groups: Some(self.user.groups.clone()),
            extra: Some(self.user.extra.clone()).filter(|extra: &BTreeMap<_, _>| !extra.is_empty()),
            resource_attributes,
            non_resource_attributes,
        }
    }

    /// The no, with the authorizer's reason if it gave one.
    pub(super) fn forbidden(&self, reason: Option<&str>) -> AuthorizationError {
        let user = &self.user.name;
        let reason = reason
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        let (message, subject) = match &self.attributes {
            Attributes::Resource {
                group,
                resource,
                verb,
                namespace,
                name,
                ..
            } => {
                let (resource, verb) = (resource.as_str(), verb.as_str());
                let scope = if namespace.is_empty() {
                    "at the cluster scope".to_owned()
                } else {
                    format!("in the namespace {namespace:?}")
                };
                let message = format!(
                    "{resource}.{group} {name:?} is forbidden: User {user:?} cannot {verb} resource \
                     \"{resource}/{SUBRESOURCE}\" in API group {group:?} {scope}{reason}"
                );
                let subject = Subject {
                    name: name.to_string(),
                    group: group.to_string(),
                    kind: resource.to_owned(),
                };
                (message, Some(subject))
            }
            Attributes::Path { verb, path } => (
                format!("forbidden: User {user:?} cannot {verb} path {path:?}{reason}"),
                None,
            ),
        };
        AuthorizationError::Forbidden { message, subject }
    }
}

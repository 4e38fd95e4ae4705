//! At which targets Throughway let the user in, and at which it did not, for each verb: a right to read is none to
//! write, and a write that is refused says nothing of what may be read. What is known holds for a while, as rights
//! change.
//!
//! Verbs are those that kube-apiserver makes of methods: `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use crate::local::inbound::host_route::Target;
use crate::protocol::envelope;

const CACHE_TTL: Duration = Duration::from_secs(30);

/// Targets that are remembered; beyond it all are forgotten.
const MAX_TARGETS: usize = 1000;

/// What the right is called that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccessVerb {
    Get,
    Create,
    Update,
    Patch,
    Delete,
    /// Methods that the cluster has no verb for and that travel in no envelope.
    Nameless,
}

/// How many there are.
const VERB_COUNT: usize = 6;

impl AccessVerb {
    pub(super) fn of(method: &Method) -> Self {
        match method.as_str() {
            "GET" | "HEAD" => Self::Get,
            "POST" => Self::Create,
            "PUT" => Self::Update,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            // They travel in a POST.
            _ if envelope::is_inside(method) => Self::Create,
            _ => Self::Nameless,
        }
    }
}

/// How a target's last request through Throughway ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    Allowed,
    /// 403 of the cluster, not of the target.
    Refused,
}

/// What is known of a target, for each verb.
type ByVerb = [Option<(Instant, Permission)>; VERB_COUNT];

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct PermissionCache(Arc<Mutex<HashMap<Target, ByVerb>>>);

impl PermissionCache {
    pub(super) fn get(&self, target: &Target, verb: AccessVerb) -> Option<Permission> {
        // For a look and never across an await, so the lock of the standard library does.
        let known = self.lock();
        let (since, permission) = known.get(target)?[verb as usize]?;
        // An old result stays in the map until it is written over; its age alone says that it counts no more.
        (since.elapsed() < CACHE_TTL).then_some(permission)
    }

    /// Takes note of a result. One that says what is known already counts from the first.
    pub(super) fn set(&self, target: &Target, verb: AccessVerb, permission: Permission) {
        // So a target that is in use is asked about again once its time is over, and not put off for ever.
        if self.get(target, verb) == Some(permission) {
            return;
        }
        let mut known = self.lock();
        if known.len() >= MAX_TARGETS && !known.contains_key(target) {
            // All at once: what was forgotten costs one request each, and an order of use would have to be kept.
            known.clear();
        }
        let by_verb = known.entry(target.clone()).or_default();
        by_verb[verb as usize] = Some((Instant::now(), permission));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Target, ByVerb>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

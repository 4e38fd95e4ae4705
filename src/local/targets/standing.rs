//! At which targets Throughway let the user in, and at which it did not, for each verb: a right to read is none to write, and a
//! write that is refused says nothing of what may be read. What is known holds for a while, as rights change.
//!
//! Verbs are those that kube-apiserver makes of methods: `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use crate::local::inbound::host_route::Target;
use crate::protocol::envelope;

const HOLDS_FOR: Duration = Duration::from_secs(30);

/// Targets that are remembered; beyond it all are forgotten.
const MOST_KEPT: usize = 1000;

/// What the right is called that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Create,
    Update,
    Patch,
    Delete,
    /// Methods that the cluster has no verb for and that travel in no envelope.
    Nameless,
}

/// How many there are.
const VERBS: usize = 6;

impl Verb {
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
pub(super) enum Standing {
    Allowed,
    /// 403 of the cluster, not of the target.
    Refused,
}

/// What is known of a target, for each verb.
type OfTarget = [Option<(Instant, Standing)>; VERBS];

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Standings(Arc<Mutex<HashMap<Target, OfTarget>>>);

impl Standings {
    pub(super) fn of(&self, target: &Target, verb: Verb) -> Option<Standing> {
        let known = self.lock();
        let (since, standing) = known.get(target)?[verb as usize]?;
        (since.elapsed() < HOLDS_FOR).then_some(standing)
    }

    /// Takes note of an answer. One that says what is known already counts from the first.
    pub(super) fn set(&self, target: &Target, verb: Verb, standing: Standing) {
        if self.of(target, verb) == Some(standing) {
            return;
        }
        let mut known = self.lock();
        if known.len() >= MOST_KEPT && !known.contains_key(target) {
            known.clear();
        }
        let of_target = known.entry(target.clone()).or_default();
        of_target[verb as usize] = Some((Instant::now(), standing));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Target, OfTarget>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

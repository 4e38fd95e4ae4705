//! At which targets Throughway let the user in, and at which it did not. What is known holds for a while, as rights change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::local::place::Target;

const HOLDS_FOR: Duration = Duration::from_secs(30);

/// Targets that are remembered; beyond it all are forgotten.
const MOST_KEPT: usize = 1000;

/// How a target's last request through Throughway ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Allowed,
    /// 403 of the cluster, not of the target.
    Refused,
}

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Standings(Arc<Mutex<HashMap<Target, (Instant, Standing)>>>);

impl Standings {
    pub(super) fn of(&self, target: &Target) -> Option<Standing> {
        let known = self.lock();
        let (since, standing) = known.get(target)?;
        (since.elapsed() < HOLDS_FOR).then_some(*standing)
    }

    /// Takes note of an answer. One that says what is known already counts from the first.
    pub(super) fn set(&self, target: &Target, standing: Standing) {
        if self.of(target) == Some(standing) {
            return;
        }
        let mut known = self.lock();
        if known.len() >= MOST_KEPT {
            known.clear();
        }
        known.insert(target.clone(), (Instant::now(), standing));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Target, (Instant, Standing)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What time it is. Expiry is wall time, which goes on while a laptop sleeps; tests bring a clock of their own.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A source of the time.
#[derive(Clone)]
pub(super) struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    pub(super) fn of_system() -> Self {
        Self::of(SystemTime::now)
    }

    pub(super) fn of(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> SystemTime {
        (self.0)()
    }

    /// How long ago a moment was; a moment that the clock has not reached counts as long ago, as the clock was set back
    /// then.
    pub(super) fn since(&self, then: SystemTime) -> Duration {
        // A clock that was set back must not keep something old in force until it has caught up.
        self.now().duration_since(then).unwrap_or(Duration::MAX)
    }
}

//! Who looks at the page. In: views and open streams. Out: whether to watch the cluster at all.
//!
//! A page that nobody looks at costs the API server nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The watches end when nobody looked for so long.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Debug, Clone)]
pub(super) struct Audience(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    watching: bool,
    open: usize,
    last_look: Instant,
}

/// A page that is open and kept up to date.
#[derive(Debug)]
pub(super) struct Open(Audience);

/// What a look means for the watches.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Watches {
    /// The caller starts them.
    ToStart,
    Run,
}

impl Audience {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            watching: false,
            open: 0,
            last_look: Instant::now(),
        })))
    }

    /// Somebody looks.
    pub(super) fn look(&self) -> Watches {
        self.with(|state| {
            state.last_look = Instant::now();
            if std::mem::replace(&mut state.watching, true) {
                Watches::Run
            } else {
                Watches::ToStart
            }
        })
    }

    /// Somebody goes on looking.
    pub(super) fn open(&self) -> Open {
        self.with(|state| state.open += 1);
        Open(self.clone())
    }

    /// Resolves when nobody looked for long enough; from then on the next look starts the watches again.
    pub(super) async fn gone(&self) {
        while let Some(rest) = self.rest() {
            tokio::time::sleep(rest).await;
        }
    }

    /// How long the watches go on at least; without a rest they have ended.
    fn rest(&self) -> Option<Duration> {
        self.with(|state| {
            if state.open > 0 {
                return Some(PATIENCE);
            }
            let rest = PATIENCE.saturating_sub(state.last_look.elapsed());
            if rest.is_zero() {
                state.watching = false;
                return None;
            }
            Some(rest)
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // What a panic could leave half done in here is a number that is read again.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.with(|state| {
            state.open -= 1;
            state.last_look = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn watches_end_when_nobody_looked_for_long_enough_and_start_with_the_next_look() {
        let audience = Audience::new();
        assert_eq!(audience.look(), Watches::ToStart);
        assert_eq!(audience.look(), Watches::Run);
        let start = Instant::now();
        audience.gone().await;
        assert_eq!(start.elapsed(), PATIENCE);
        assert_eq!(audience.look(), Watches::ToStart);
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_is_open_is_looked_at() {
        let audience = Audience::new();
        audience.look();
        let page = audience.open();
        let long = tokio::time::timeout(PATIENCE * 10, audience.gone());
        assert!(long.await.is_err());
        drop(page);
        let start = Instant::now();
        audience.gone().await;
        assert!(start.elapsed() >= PATIENCE);
    }
}

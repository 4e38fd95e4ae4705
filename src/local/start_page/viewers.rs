//! Who views the page. In: requests for it and open streams. Out: whether the cluster is to be watched at all.
//!
//! A page that nobody views costs the API server nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The controller ends when nobody viewed the page for so long.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(180);

#[derive(Debug, Clone)]
pub(super) struct Viewers(Arc<Mutex<ViewerCount>>);

#[derive(Debug)]
struct ViewerCount {
    controller_runs: bool,
    open_streams: usize,
    last_view: Instant,
}

/// Held by a page that is open and kept up to date.
#[derive(Debug)]
pub(super) struct ViewerGuard(Viewers);

/// What a view means for the controller.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ControllerState {
    /// The caller starts it.
    ToStart,
    Running,
}

impl Viewers {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(ViewerCount {
            controller_runs: false,
            open_streams: 0,
            last_view: Instant::now(),
        })))
    }

    /// Records a view.
    pub(super) fn record_view(&self) -> ControllerState {
        self.with(|count| {
            count.last_view = Instant::now();
            // Set at once: of two views at the same moment only one may start a controller.
            if std::mem::replace(&mut count.controller_runs, true) {
                ControllerState::Running
            } else {
                ControllerState::ToStart
            }
        })
    }

    /// Keeps the controller running until the guard is dropped.
    pub(super) fn open_stream(&self) -> ViewerGuard {
        self.with(|count| count.open_streams += 1);
        ViewerGuard(self.clone())
    }

    /// Resolves when nobody viewed the page for [`IDLE_TIMEOUT`]; from then on the next view starts the controller
    /// again.
    pub(super) async fn idle(&self) {
        // Asked again after each sleep, as a view in between moves the end.
        while let Some(time_left) = self.time_left() {
            tokio::time::sleep(time_left).await;
        }
    }

    /// How long the controller runs at least. `None`: its end is recorded, and the caller ends it.
    ///
    /// Both happen under one lock: a view that comes in between would count on a controller that is about to end.
    fn time_left(&self) -> Option<Duration> {
        self.with(|count| {
            if count.open_streams > 0 {
                // A page is open; it is looked at again after another while.
                return Some(IDLE_TIMEOUT);
            }
            let time_left = IDLE_TIMEOUT.saturating_sub(count.last_view.elapsed());
            if time_left.is_zero() {
                count.controller_runs = false;
                return None;
            }
            Some(time_left)
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut ViewerCount) -> T) -> T {
        // Nothing in here panics half way: each change is of numbers and flags.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for ViewerGuard {
    fn drop(&mut self) {
        self.0.with(|count| {
            count.open_streams -= 1;
            // From the last page's end on, so that a reload does not cost a new list.
            count.last_view = Instant::now();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_controller_ends_after_the_idle_timeout_and_starts_with_the_next_view() {
        let viewers = Viewers::new();
        assert_eq!(viewers.record_view(), ControllerState::ToStart);
        assert_eq!(viewers.record_view(), ControllerState::Running);
        let start = Instant::now();
        viewers.idle().await;
        assert_eq!(start.elapsed(), IDLE_TIMEOUT);
        assert_eq!(viewers.record_view(), ControllerState::ToStart);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_page_is_not_idle() {
        let viewers = Viewers::new();
        viewers.record_view();
        let page = viewers.open_stream();
        let long = tokio::time::timeout(IDLE_TIMEOUT * 10, viewers.idle());
        assert!(long.await.is_err());
        drop(page);
        let start = Instant::now();
        viewers.idle().await;
        assert!(start.elapsed() >= IDLE_TIMEOUT);
    }
}

//! How long a writer waits for somebody who does not take what is ready for them.
//!
//! A wait is short as a rule, and there is one for each piece of a large response. So no timer is touched when a wait
//! is over: the one of an earlier wait runs on, and when it ends it is set to what is left of the wait of that moment.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The timeout of a wait in which nothing moves.
#[derive(Debug)]
pub struct ProgressTimeout {
    timeout: Duration,
    blocked_since: Option<Instant>,
    /// There is none before the first wait.
    timer: Option<Pin<Box<Sleep>>>,
}

impl ProgressTimeout {
    /// Zero is no timeout.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            blocked_since: None,
            timer: None,
        }
    }

    /// Something was taken.
    pub fn moved(&mut self) {
        self.blocked_since = None;
    }

    /// To be polled while nothing can be written. Ready when nothing has moved for the whole timeout.
    pub fn poll_blocked(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // Nobody is woken then: the layer that is blocked wakes the task itself.
        if self.timeout.is_zero() {
            return Poll::Pending;
        }
        // The first poll of a wait is its begin; `moved` ends it.
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        let deadline = since + self.timeout;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(context));
            // The timer is of an earlier wait that has moved since, so it is set to the end of this one.
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    async fn blocked_for(progress: &mut ProgressTimeout, time: Duration) -> bool {
        tokio::time::timeout(time, poll_fn(|context| progress.poll_blocked(context)))
            .await
            .is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_has_the_whole_timeout_whenever_the_one_before_began() {
        let mut progress = ProgressTimeout::new(TIMEOUT);
        for _ in 0..5 {
            assert!(!blocked_for(&mut progress, TIMEOUT - Duration::from_secs(1)).await);
            progress.moved();
        }
        let begun = Instant::now();
        poll_fn(|context| progress.poll_blocked(context)).await;
        assert_eq!(begun.elapsed(), TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_goes_on_is_one_wait() {
        let mut progress = ProgressTimeout::new(TIMEOUT);
        assert!(!blocked_for(&mut progress, TIMEOUT / 2).await);
        assert!(blocked_for(&mut progress, TIMEOUT / 2 + Duration::from_millis(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn zero_is_no_limit() {
        let mut progress = ProgressTimeout::new(Duration::ZERO);
        assert!(!blocked_for(&mut progress, TIMEOUT * 1000).await);
    }
}

//! A token bucket in one number: the moment at which the next turn would be due if turns came evenly (GCRA).
//!
//! <https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::sketch::{Moments, Names};

/// So many a second, and so many at once after a pause.
#[derive(Debug)]
struct Pace {
    start: Instant,
    /// Nanoseconds from one turn to the next.
    interval: u64,
    /// Nanoseconds that turns may be ahead of the even pace.
    ahead: u64,
}

impl Pace {
    fn new(a_second: u32, burst: u32) -> Self {
        let interval = 1_000_000_000 / u64::from(a_second);
        Self {
            start: Instant::now(),
            interval,
            ahead: interval * u64::from(burst),
        }
    }

    fn now(&self) -> u64 {
        // 584 years fit.
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// How long the turn after `due` has to wait.
    fn wait(&self, due: u64, now: u64) -> u64 {
        // A name that was quiet begins at now and not where it left off, or a pause would be saved up without end.
        (due.max(now) + self.interval).saturating_sub(now + self.ahead)
    }
}

/// One bucket for everybody.
#[derive(Debug)]
pub struct Rate {
    pace: Pace,
    due: AtomicU64,
}

impl Rate {
    /// A full bucket of `burst` turns, refilled with `a_second` of them each second.
    pub fn new(a_second: u32, burst: u32) -> Self {
        Self {
            pace: Pace::new(a_second, burst),
            due: AtomicU64::new(0),
        }
    }

    /// Takes a turn, and says how long to wait for it; `None`, and nothing taken, if that were more than `patience`.
    pub fn take(&self, patience: Duration) -> Option<Duration> {
        let (now, patience) = (self.pace.now(), nanoseconds(patience));
        let taken = self
            .due
            // One step for the look and the taking, so that two threads can't have the same turn.
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| {
                let fits = self.pace.wait(due, now) <= patience;
                fits.then(|| due.max(now) + self.pace.interval)
            });
        let due = taken.ok()?;
        Some(Duration::from_nanos(self.pace.wait(due, now)))
    }

    /// Whether more than half of the bucket is gone.
    pub fn is_scarce(&self) -> bool {
        // Only a hint for others, so it may be a moment old.
        let due = self.due.load(Ordering::Relaxed);
        due.saturating_sub(self.pace.now()) > self.pace.ahead / 2
    }
}

/// A bucket for each name.
#[derive(Debug)]
pub(super) struct Rates {
    pace: Pace,
    names: Names,
    due: Moments,
}

impl Rates {
    pub(super) fn new(a_second: u32, burst: u32) -> Self {
        Self {
            pace: Pace::new(a_second, burst),
            names: Names::default(),
            due: Moments::default(),
        }
    }

    /// Takes a turn of `name`, if it has one now.
    pub(super) fn take(&self, name: &(impl Hash + ?Sized)) -> bool {
        // Two threads may both find a turn here; a share is kept near enough, and nothing is locked for it.
        let now = self.pace.now();
        let cells = self.due.at(self.names.cells(name));
        let due = cells.map(|cell| cell.load(Ordering::Relaxed));
        let smaller = due[0].min(due[1]);
        let fits = self.pace.wait(smaller, now) == 0;
        if fits {
            for cell in cells {
                // The larger stays: another name of the same cell must not have its debt forgiven by this one.
                cell.fetch_max(smaller.max(now) + self.pace.interval, Ordering::Relaxed);
            }
        }
        fits
    }

    /// Counts a turn of `name`, and says how long it has to wait if the name keeps to its share. Who takes far more
    /// than their share owes no more than `most`.
    pub(super) fn charge(&self, name: &(impl Hash + ?Sized), most: Duration) -> Duration {
        let now = self.pace.now();
        let cells = self.due.at(self.names.cells(name));
        let due = cells.map(|cell| cell.load(Ordering::Relaxed));
        let smaller = due[0].min(due[1]);
        let wait = self.pace.wait(smaller, now).min(nanoseconds(most));
        let next =
            // A bound on the debt, or a burst of hours ago would keep its user out for as long.
            (smaller.max(now) + self.pace.interval).min(now + self.pace.ahead + nanoseconds(most));
        for cell in cells {
            cell.fetch_max(next, Ordering::Relaxed);
        }
        Duration::from_nanos(wait)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_then_the_pace_holds() {
        let rate = Rate::new(10, 5);
        for _ in 0..5 {
            assert_eq!(rate.take(Duration::ZERO), Some(Duration::ZERO));
        }
        assert_eq!(rate.take(Duration::ZERO), None);
        assert_eq!(
            rate.take(Duration::from_secs(1)),
            Some(Duration::from_millis(100))
        );
        assert!(rate.is_scarce());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!rate.is_scarce());
        assert_eq!(rate.take(Duration::ZERO), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn one_name_that_is_over_its_share_costs_another_nothing() {
        let rates = Rates::new(10, 5);
        let most = Duration::from_secs(2);
        for _ in 0..1000 {
            rates.charge("greedy", most);
        }
        assert_eq!(rates.charge("greedy", most), most);
        assert_eq!(rates.charge("alice", most), Duration::ZERO);
        // What is owed is bounded, so that it is soon forgiven.
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(rates.charge("greedy", most), Duration::ZERO);
    }
}

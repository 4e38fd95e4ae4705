//! What an attack costs a replica, as Linux counts it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::{Attack, Replica};
use crate::process;

/// Memory that has not grown for so long has stopped growing.
const STILL: Duration = Duration::from_millis(600);

/// An attack goes on for this long at the most.
const LONGEST: Duration = Duration::from_secs(10);

/// Memory is to be back as before this long after an attack.
const AFTERWARDS: Duration = Duration::from_secs(30);

/// So many bytes more than before an attack are as before: allocators keep some.
pub const KEPT: f64 = 16.0 * 1024.0 * 1024.0;

/// Requests that go on after an attack, and how often.
const AT_ONCE: usize = 8;
const PAUSE: Duration = Duration::from_millis(100);

/// Requests of before and after, so that what every request needs once is not counted.
const CALM: usize = 50;

#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// The most bytes that were resident.
    pub peak: f64,
    /// Allocated bytes as soon as they were as before, or the least of some seconds after.
    pub after: f64,
    /// CPU seconds of a request, or of a connection where nothing is asked.
    pub cpu_a_request: f64,
}

/// Runs an attack to its height and to its end; `at_rest` is what was allocated before the first one.
pub async fn of(attack: Attack, replica: &Replica, at_rest: f64) -> Cost {
    process::forget_peak(replica.pid);
    let before = process::cpu(replica.pid);
    let held = attack.launch(replica).await;
    until_still(replica.pid).await;
    let cpu_a_request = (process::cpu(replica.pid) - before) / held.requests as f64;
    let peak = process::peak(replica.pid);
    replica.ask_calmly().await;
    drop(held);
    Cost {
        peak,
        after: calm_again(replica, at_rest).await,
        cpu_a_request,
    }
}

/// Allocated bytes of a replica that has answered some requests and does nothing.
pub async fn at_rest(replica: &Replica) -> f64 {
    for _ in 0..CALM {
        replica.ask_calmly().await;
    }
    process::allocated(replica.pid)
}

/// Waits until memory does not grow any more.
pub async fn until_still(pid: u32) {
    let begun = Instant::now();
    let (mut most, mut since) = (0.0, begun);
    while since.elapsed() < STILL && begun.elapsed() < LONGEST {
        let now = process::resident(pid);
        if now > most {
            (most, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Requests go on meanwhile, as probes do: an allocator gives memory back while it is used.
async fn calm_again(replica: &Replica, at_rest: f64) -> f64 {
    let begun = Instant::now();
    let mut least = f64::INFINITY;
    while least > at_rest + KEPT && begun.elapsed() < AFTERWARDS {
        join_all((0..AT_ONCE).map(|_| replica.ask_calmly())).await;
        least = least.min(process::allocated(replica.pid));
        tokio::time::sleep(PAUSE).await;
    }
    least
}

//! Endpoints that refused a connection sit out for a while.
//!
//! A slice says that a pod is ready for some time after it has gone. Whoever meets the refusal first spares the next
//! callers the wait; the endpoint is tried again when its time is over, or at once if nobody else is left.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use papaya::HashMap;

/// How long an endpoint sits out.
const EJECTION_TIME: Duration = Duration::from_secs(5);

/// Endpoints that sit out at the same time. Whoever scans a pod's ports makes no more of them; those that come too late
/// are tried again at once.
const MAX_EJECTED: usize = 4096;

/// Who sits out, shared by the choice and by those who dial.
#[derive(Debug, Clone, Default)]
pub struct Outliers(Arc<Ejections>);

#[derive(Debug, Default)]
struct Ejections {
    until: HashMap<SocketAddr, Instant>,
    /// When those whose time is over are looked for again: once in their time, and not at each refusal.
    next_sweep: Mutex<Option<Instant>>,
}

impl Outliers {
    /// An endpoint made no connection.
    pub fn refused(&self, address: SocketAddr) {
        let now = Instant::now();
        let sitting_out = self.0.until.pin();
        if self.is_sweep_due(now) {
            sitting_out.retain(|_, until| *until > now);
        }
        // When there is no room the endpoint is simply tried again: nothing is refused for it.
        if sitting_out.len() < MAX_EJECTED {
            sitting_out.insert(address, now + EJECTION_TIME);
        }
    }

    fn is_sweep_due(&self, now: Instant) -> bool {
        let mut next = self
            .0
            .next_sweep
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_due = next.is_none_or(|next| next <= now);
        // The lock is held for one comparison, and only by who was refused; requests that connect never take it.
        if is_due {
            *next = Some(now + EJECTION_TIME);
        }
        is_due
    }

    /// An endpoint made a connection.
    pub fn reached(&self, address: SocketAddr) {
        // Usually nobody sits out, and then a connection costs no more than this look.
        if !self.0.until.is_empty() {
            self.0.until.pin().remove(&address);
        }
    }

    pub(super) fn sits_out(&self, address: SocketAddr) -> bool {
        !self.0.until.is_empty()
            && self
                .0
                .until
                .pin()
                .get(&address)
                .is_some_and(|until| *until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refused_sits_out_until_somebody_gets_through() {
        let outliers = Outliers::default();
        let address = SocketAddr::from(([10, 77, 0, 10], 80));
        assert!(!outliers.sits_out(address));
        outliers.refused(address);
        assert!(outliers.clone().sits_out(address));
        outliers.reached(address);
        assert!(!outliers.sits_out(address));
    }

    #[test]
    fn a_scan_of_all_ports_is_no_work_and_no_memory() {
        let outliers = Outliers::default();
        for port in 1..=u16::MAX {
            outliers.refused(SocketAddr::from(([10, 77, 0, 10], port)));
        }
        assert_eq!(outliers.0.until.len(), MAX_EJECTED);
    }
}

//! Endpoints that refused a connection sit out for a while.
//!
//! A slice says that a pod is ready for some time after it has gone. Whoever meets the refusal first spares the next
//! callers the wait; the endpoint is tried again when its time is over, or at once if nobody else is left.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use papaya::HashMap;

/// How long an endpoint sits out.
const SITTING_OUT: Duration = Duration::from_secs(5);

/// Who sits out, shared by the choice and by those who dial.
#[derive(Debug, Clone, Default)]
pub struct Outliers(Arc<HashMap<SocketAddr, Instant>>);

impl Outliers {
    /// An endpoint made no connection.
    pub fn refused(&self, address: SocketAddr) {
        let now = Instant::now();
        let sitting_out = self.0.pin();
        sitting_out.retain(|_, until| *until > now);
        sitting_out.insert(address, now + SITTING_OUT);
    }

    /// An endpoint made a connection.
    pub fn reached(&self, address: SocketAddr) {
        if !self.0.is_empty() {
            self.0.pin().remove(&address);
        }
    }

    pub(super) fn sits_out(&self, address: SocketAddr) -> bool {
        !self.0.is_empty()
            && self
                .0
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
}

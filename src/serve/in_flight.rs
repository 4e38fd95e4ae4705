//! The limit on requests in flight. In: a caller who is known, and the record of their request. Out: a slot that the
//! record holds until its last byte, or a refusal.
//!
//! It stands behind authentication, so that `system:masters` come into a full house; tunnels have a limit of their own.
//!
//! Refuses: 429, which says whether all slots are taken, or those of this user or namespace.
//!
//! Kubernetes: `pkg/server/filters/maxinflight.go` of k8s.io/apiserver.

use std::sync::Arc;

use super::authentication::Caller;
use super::fairness::{Full, Slot, Slots};
use super::refusal::{Fault, Refuse};
use super::request_context::RequestContext;
use crate::protocol::status::Status;

/// Slots for requests of known callers that are no tunnel.
#[derive(Debug)]
pub struct InFlight(Arc<Slots>);

/// No slot among the requests in flight is left for this one.
#[derive(Debug, thiserror::Error)]
#[error("too many requests, try again later: {0}")]
pub struct TooManyRequests(#[source] Full);

impl InFlight {
    /// `most` is how many there may be; zero is no limit.
    pub fn new(most: usize) -> Self {
        Self(Slots::new(match most {
            // Half of the numbers that there are, so that counting one more never overflows.
            0 => usize::MAX / 2,
            most => most,
        }))
    }

    /// A slot for the request that this is the record of, given back with the record.
    ///
    /// # Errors
    /// None is left for its caller.
    pub fn acquire(
        &self,
        context: &RequestContext,
        caller: &Caller,
    ) -> Result<(), TooManyRequests> {
        context
            .hold_slot(&self.0, caller.slot_owner())
            .map_err(TooManyRequests)
    }

    /// A slot for a request of which no record is kept. It is in no namespace.
    ///
    /// # Errors
    /// None is left for its caller.
    pub fn acquire_for_reader(&self, caller: &Caller) -> Result<Slot, TooManyRequests> {
        self.0
            .take(caller.slot_owner(), "")
            .map_err(TooManyRequests)
    }

    /// How often there was no slot, for this reason.
    pub fn refused(&self, full: Full) -> u64 {
        self.0.refused(full)
    }
}

impl Refuse for TooManyRequests {
    fn status(&self) -> Status {
        Status::too_many_requests(self.to_string())
    }

    fn reason(&self) -> &'static str {
        match self.0 {
            Full::Everybody => "crowded",
            Full::User => "user_share",
            Full::Namespace => "namespace_share",
        }
    }

    fn fault(&self) -> Fault {
        match self.0 {
            Full::Everybody => Fault::Server,
            Full::User | Full::Namespace => Fault::Caller,
        }
    }
}

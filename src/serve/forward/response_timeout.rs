//! How long a response may take. In: a request that is on its way. Out: the head of its response, or which timeout is
//! over.
//!
//! Two timeouts run beside each other: `--backend-response-header-timeout` while nothing moves, and
//! `--exchange-idle-timeout` while the backend does not take what there is of the request's body.

use std::time::Duration;

use super::transport::request_body::Backpressure;
use super::{Forward, ForwardError};
use crate::serve::endpoint::Endpoint;
use crate::serve::request_context::RequestContext;

impl Forward {
    /// Waits for the response's head. The timeout counts from the last byte of the request that moved. It is another
    /// one, and shorter, while the backend does not take what there is of the request's body.
    pub(super) async fn within_timeouts<R>(
        &self,
        context: &RequestContext,
        endpoint: &Endpoint,
        backpressure: Option<Backpressure>,
        response: impl Future<Output = R>,
    ) -> Result<R, ForwardError> {
        let header_timeout = self.config.response_header_timeout;
        let idle_timeout = self.config.exchange_idle_timeout;
        // The body's timeout is that of the caller's bytes: it makes sense only where there is a body to be taken.
        let body = backpressure.as_ref().filter(|_| !idle_timeout.is_zero());
        let is_stalled = || body.is_some_and(Backpressure::is_stalled);
        // Pinned once and polled by reference: a step that is over must not cancel the exchange.
        let mut response = std::pin::pin!(response);
        let step = match (header_timeout.is_zero(), body) {
            (true, None) => return Ok(response.await),
            (true, Some(_)) => idle_timeout,
            // Steps as long as the shorter of the two, so that neither is noticed much later than it is over.
            (false, None) => header_timeout,
            (false, Some(_)) => header_timeout.min(idle_timeout),
        };
        // A timer that is set anew for each byte that moves would cost more than the bytes. So it runs in steps, and
        // after each it is seen whether anything moved; a timeout is late by one step at the most.
        let (mut silent, mut stalled) = (Duration::ZERO, Duration::ZERO);
        loop {
            // Read before the step, so that only what happens within it counts.
            let (moved, was_stalled) = (context.moved(), is_stalled());
            if let Ok(response) = tokio::time::timeout(step, response.as_mut()).await {
                return Ok(response);
            }
            // Any byte, either way, shows that somebody lives on the other side.
            if context.moved() != moved {
                (silent, stalled) = (Duration::ZERO, Duration::ZERO);
                continue;
            }
            silent += step;
            // Stalled at both ends of the step: one that took a piece in between is slow and not stuck.
            stalled = if was_stalled && is_stalled() {
                stalled + step
            } else {
                Duration::ZERO
            };
            let address = *endpoint.address;
            // Asked first, as a body that is not taken is also a response that does not come, and says more of the
            // reason.
            if body.is_some() && stalled >= idle_timeout {
                let timeout = idle_timeout;
                return Err(ForwardError::BodyNotTaken { address, timeout });
            }
            if !header_timeout.is_zero() && silent >= header_timeout {
                let timeout = header_timeout;
                return Err(ForwardError::ResponseTimeout { address, timeout });
            }
        }
    }
}

//! How long an answer may take. In: a request that is on its way. Out: the head of its answer, or whose time is over.
//!
//! Two limits run beside each other: `--backend-response-header-timeout` while nothing moves, and `--exchange-idle-timeout` while the
//! backend does not take what there is of the request's body.

use std::time::Duration;

use super::body::Taken;
use super::{Forward, ForwardError};
use crate::serve::endpoint::Endpoint;
use crate::serve::request_context::RequestContext;

impl Forward {
    /// Waits for the answer's head. The limit counts from the last byte of the request that moved. It is another one, and
    /// shorter, while the backend does not take what there is of the request's body.
    pub(super) async fn within_limit<A>(
        &self,
        context: &RequestContext,
        endpoint: &Endpoint,
        taken: Option<Taken>,
        answer: impl Future<Output = A>,
    ) -> Result<A, ForwardError> {
        let limit = self.config.response_header_limit;
        let timeout = self.config.exchange_idle_timeout;
        let idle = taken.as_ref().filter(|_| !timeout.is_zero());
        let is_idle = || idle.is_some_and(Taken::is_waited_for);
        let mut answer = std::pin::pin!(answer);
        let step = match (limit.is_zero(), idle) {
            (true, None) => return Ok(answer.await),
            (true, Some(_)) => timeout,
            (false, None) => limit,
            (false, Some(_)) => limit.min(timeout),
        };
        let (mut silent, mut untaken) = (Duration::ZERO, Duration::ZERO);
        loop {
            let (moved, was_idle) = (context.moved(), is_idle());
            if let Ok(answer) = tokio::time::timeout(step, answer.as_mut()).await {
                return Ok(answer);
            }
            if context.moved() != moved {
                (silent, untaken) = (Duration::ZERO, Duration::ZERO);
                continue;
            }
            silent += step;
            untaken = if was_idle && is_idle() {
                untaken + step
            } else {
                Duration::ZERO
            };
            let address = *endpoint.address;
            if idle.is_some() && untaken >= timeout {
                return Err(ForwardError::NotTaken { address, timeout });
            }
            if !limit.is_zero() && silent >= limit {
                return Err(ForwardError::AnswerLate { address, limit });
            }
        }
    }
}

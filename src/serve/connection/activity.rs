//! What happens on one connection: how many requests began, how many are open, and whose response is on its way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::error::ConnectionError;
use crate::causes::is_socket_timeout;
use crate::protocol::status::Response;
use crate::serve::request_context::RequestContext;

/// What happens on one connection, in numbers.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests that have begun, ever.
    begun: AtomicUsize,
    /// Requests that wait for their response.
    open: AtomicUsize,
    /// Whose response is on its way; HTTP/1 alone, which has one at a time.
    response: Mutex<Weak<RequestContext>>,
}

impl Activity {
    pub(super) fn begin(&self) -> ActiveRequest<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        ActiveRequest(self)
    }

    pub(super) fn responds_with(&self, response: &Response) {
        if let Some(context) = response.extensions().get::<Arc<RequestContext>>() {
            // Weak, so that an idle connection keeps nothing of its last request.
            *self.response() = Arc::downgrade(context);
        }
    }

    fn response(&self) -> MutexGuard<'_, Weak<RequestContext>> {
        self.response.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whose response it was that nobody took, if the connection ended for that. To be called while the connection
    /// holds the response's body: whoever has been answered is not to blame.
    pub(super) fn note_end(&self, ended: &ConnectionError, timeout: Duration) {
        // Only the kernel's timeout says that the caller took nothing; any other end is that of the connection and
        // blames nobody.
        let timed_out = matches!(ended, ConnectionError::Http(failed) if is_socket_timeout(failed));
        if timed_out && let Some(context) = self.response().upgrade() {
            context.response_not_taken(timeout);
        }
    }

    /// Whether a request has begun, ever.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed) > 0
    }

    /// How many requests had begun if the connection is idle, `None` while one is open.
    pub(super) fn idle_after(&self) -> Option<usize> {
        // Both numbers are read without a lock: a request that begins in between is seen at the next look.
        (self.open.load(Ordering::Relaxed) == 0).then(|| self.begun.load(Ordering::Relaxed))
    }
}

/// A request that waits for its response; gone when it has one or its caller is gone.
pub(super) struct ActiveRequest<'a>(&'a Activity);

impl Drop for ActiveRequest<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

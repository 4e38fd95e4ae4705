//! The body of a request that a redirect may ask for again. In: a body, which is passed on as it comes. Out: the same
//! bytes once more, if it was at most [`MAX_REPLAYED_BODY`] long and was read to its end.
//!
//! Whoever reads it is hyper's connection to the backend, and who asks for it again is the response stage, so the two
//! share it behind a lock that nobody holds across a wait.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// Bytes of a request's body that are kept for a redirect that asks for them again.
pub(super) const MAX_REPLAYED_BODY: usize = 64 * 1024;

/// What was read of a request's body so far.
#[derive(Debug)]
pub(super) struct RecordedBody(Arc<Mutex<Recorded>>);

/// The beginning of a body, and whether that was all.
#[derive(Debug, Default)]
struct Recorded {
    chunks: Vec<Bytes>,
    length: usize,
    /// What the request says of its length: nobody may look further than that.
    announced: Option<u64>,
    state: Recording,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Recording {
    #[default]
    Running,
    Whole,
    /// It was too long, had trailers, or broke off.
    GivenUp,
}

impl RecordedBody {
    /// Records a body while it is read.
    pub(super) fn recorded(body: &mut Body) -> Self {
        let mut recorded = Recorded::default();
        // Nothing to record, and `Recorder` would never be polled to say so.
        if body.is_end_stream() {
            recorded.state = Recording::Whole;
            return Self(Arc::new(Mutex::new(recorded)));
        }
        // A length that is announced shows the end before the last poll: a backend may redirect without reading on.
        recorded.announced = body.size_hint().exact();
        let recorded = Arc::new(Mutex::new(recorded));
        *body = Body::new(Recorder {
            body: std::mem::take(body),
            recorded: Arc::clone(&recorded),
        });
        Self(recorded)
    }

    /// All of it; `None`: it was too long, or was not read to its end.
    pub(super) fn whole(&self) -> Option<Bytes> {
        locked(&self.0).whole()
    }
}

fn locked(recorded: &Mutex<Recorded>) -> MutexGuard<'_, Recorded> {
    recorded.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorded {
    fn note(&mut self, chunk: &Bytes) {
        self.length += chunk.len();
        // Counted first, so that not a byte above the bound is kept.
        if self.length > MAX_REPLAYED_BODY {
            self.give_up();
        } else if self.state == Recording::Running {
            self.chunks.push(chunk.clone());
            if self.announced == Some(self.length as u64) {
                self.state = Recording::Whole;
            }
        }
    }

    fn give_up(&mut self) {
        self.state = Recording::GivenUp;
        // Freed at once: an upload of a gigabyte must not hold even its beginning.
        self.chunks = Vec::new();
    }

    fn whole(&self) -> Option<Bytes> {
        (self.state == Recording::Whole).then(|| self.chunks.concat().into())
    }
}

/// A body that is passed on as it comes, and kept while it is short.
struct Recorder {
    body: Body,
    recorded: Arc<Mutex<Recorded>>,
}

impl HttpBody for Recorder {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let is_last = self.body.is_end_stream();
        let mut recorded = locked(&self.recorded);
        match &frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(chunk) => recorded.note(chunk),
                // Trailers can't be said again by a body of bytes alone.
                None => recorded.give_up(),
            },
            Some(Err(_)) => recorded.give_up(),
            None => {}
        }
        // Both ways in which a body ends: with its last piece, or with the poll after it.
        if (frame.is_none() || is_last) && recorded.state == Recording::Running {
            recorded.state = Recording::Whole;
        }
        // Never held while the body is polled: that may wait, and the response stage asks for the same lock.
        drop(recorded);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

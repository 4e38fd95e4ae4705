//! The streams of one HTTP/2 connection to a backend: how many are open, and how many there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::connection::{MAX_EARLY_STREAMS, MAX_STREAMS};
use super::io::Received;

/// How many streams of a connection are open, and how many its backend allows.
#[derive(Debug)]
pub(in crate::serve::forward) struct Streams {
    open: AtomicUsize,
    allowed: AtomicUsize,
    received: Arc<Received>,
}

/// A stream's place on its connection, until the exchange is over.
#[derive(Debug)]
pub(in crate::serve::forward) struct StreamPlace(Arc<Streams>);

impl StreamPlace {
    /// The head of an answer, or a piece of its body, goes on to its caller.
    pub(in crate::serve::forward) fn passed(&self) {
        self.0.received.pass();
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Streams {
    pub(in crate::serve::forward) fn new(received: Arc<Received>) -> Self {
        Self {
            open: AtomicUsize::new(0),
            allowed: AtomicUsize::new(MAX_EARLY_STREAMS),
            received,
        }
    }

    /// What comes on the connection.
    pub(in crate::serve::forward) fn received(&self) -> &Arc<Received> {
        &self.received
    }

    /// What the backend says that it allows, as its settings come and change.
    pub(in crate::serve::forward) fn allow(&self, streams: usize) {
        let streams = streams.min(MAX_STREAMS);
        self.allowed.store(streams, Ordering::Relaxed);
    }

    /// How many are open.
    pub(in crate::serve::forward) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// A place, whether one is free or not: h2 then lets the request wait.
    pub(in crate::serve::forward) fn take_any(self: &Arc<Self>) -> StreamPlace {
        self.open.fetch_add(1, Ordering::Relaxed);
        StreamPlace(Arc::clone(self))
    }

    pub(in crate::serve::forward) fn take_free(self: &Arc<Self>) -> Option<StreamPlace> {
        let place = self.take_any();
        // Counted before it is looked at, so that two requests can't both take the last one.
        (self.open.load(Ordering::Relaxed) <= self.allowed.load(Ordering::Relaxed)).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_streams_are_open_than_the_backend_and_this_server_allow() {
        let streams = Arc::new(Streams::new(Arc::default()));
        let open = || (0..500).map_while(|_| streams.take_free()).collect();
        for (allowed, expected) in [(None, 8), (Some(3), 3), (Some(100_000), 100)] {
            if let Some(allowed) = allowed {
                streams.allow(allowed);
            }
            let places: Vec<StreamPlace> = open();
            assert_eq!(places.len(), expected, "{allowed:?}");
        }
        assert_eq!(streams.open(), 0);
    }
}

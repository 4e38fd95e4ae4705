//! The streams of one HTTP/2 connection to a backend: how many are open, and how many there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::io::IoState;

/// Streams that are open at the same time on one connection to a backend, whatever the backend allows. The connection's
/// window is that of all of them, so that stalled streams take nothing from the others.
pub(in crate::serve::forward) const MAX_STREAMS: usize = 100;

/// Streams that are opened before the backend has said how many it allows.
pub(in crate::serve::forward) const MAX_EARLY_STREAMS: usize = 8;

/// How many streams of a connection are open, and how many its backend allows.
#[derive(Debug)]
pub(in crate::serve::forward) struct Streams {
    open: AtomicUsize,
    allowed: AtomicUsize,
    state: Arc<IoState>,
}

/// A slot for one stream of a connection, until the exchange is over.
#[derive(Debug)]
pub(in crate::serve::forward) struct StreamSlot(Arc<Streams>);

impl StreamSlot {
    /// The head of a response, or a piece of its body, goes on to its caller.
    pub(in crate::serve::forward) fn passed(&self) {
        self.0.state.progressed();
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Streams {
    pub(in crate::serve::forward) fn new(state: Arc<IoState>) -> Self {
        Self {
            open: AtomicUsize::new(0),
            allowed: AtomicUsize::new(MAX_EARLY_STREAMS),
            state,
        }
    }

    /// What comes on the connection.
    pub(in crate::serve::forward) fn state(&self) -> &Arc<IoState> {
        &self.state
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

    /// A slot, whether one is free or not: h2 then lets the request wait.
    pub(in crate::serve::forward) fn take_any(self: &Arc<Self>) -> StreamSlot {
        // Relaxed, as the number guards no memory; h2 itself holds the backend's limit, and this only chooses a
        // connection.
        self.open.fetch_add(1, Ordering::Relaxed);
        StreamSlot(Arc::clone(self))
    }

    pub(in crate::serve::forward) fn take_free(self: &Arc<Self>) -> Option<StreamSlot> {
        let slot = self.take_any();
        // Counted before it is looked at, so that two requests can't both take the last one.
        (self.open.load(Ordering::Relaxed) <= self.allowed.load(Ordering::Relaxed)).then_some(slot)
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
            let slots: Vec<StreamSlot> = open();
            assert_eq!(slots.len(), expected, "{allowed:?}");
        }
        assert_eq!(streams.open(), 0);
    }
}

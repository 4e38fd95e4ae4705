//! The memory that unfinished heads of unknown callers may take, for all of them together.
//!
//! A caller over HTTP/1 may send the head of a request byte by byte, and what has arrived of it is kept. Each has a
//! bound, and so have all: a connection that would go past it is closed. Bytes count from their arrival until the head
//! is whole; while a request is open nothing more of a head is read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::observed::{Observed, Observer};

/// Bytes of heads that have begun and are not whole, of all unknown callers. hyper's buffer for a head grows with it,
/// and takes about four and a half times as much as it holds, with what it leaves behind.
pub(super) const MAX_BYTES: usize = 8 << 20;

/// What all connections hold.
#[derive(Debug, Clone, Default)]
pub(super) struct HeadBudget(Arc<AtomicUsize>);

/// What one connection holds of it.
#[derive(Debug, Clone)]
pub(super) struct HeadBytes(Arc<ConnectionHeads>);

#[derive(Debug)]
struct ConnectionHeads {
    budget: HeadBudget,
    held: AtomicUsize,
    /// Requests that are open: their bodies are not heads.
    open: AtomicUsize,
}

impl HeadBudget {
    pub(super) fn of_connection(&self) -> HeadBytes {
        HeadBytes(Arc::new(ConnectionHeads {
            budget: self.clone(),
            held: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        }))
    }
}

impl HeadBytes {
    /// Counts bytes that arrived; false if they are too many.
    fn add(&self, bytes: usize) -> bool {
        // Bytes of a body, or of the next request behind it, which nobody parses until this one is over.
        if self.0.open.load(Ordering::Relaxed) > 0 {
            return true;
        }
        // Counted on the connection too, so that exactly as much is given back.
        self.0.held.fetch_add(bytes, Ordering::Relaxed);
        self.0.budget.0.fetch_add(bytes, Ordering::Relaxed) + bytes <= MAX_BYTES
    }

    /// A head is whole, and its request is open until the guard is dropped.
    pub(super) fn whole(&self) -> OpenRequest {
        // Before the bytes are given back: what arrives from here on is a body.
        self.0.open.fetch_add(1, Ordering::Relaxed);
        self.0.give_back();
        OpenRequest(Arc::clone(&self.0))
    }
}

impl ConnectionHeads {
    fn give_back(&self) {
        // Swapped, so that bytes are never given back twice when a head ends as the connection does.
        let held = self.held.swap(0, Ordering::Relaxed);
        self.budget.0.fetch_sub(held, Ordering::Relaxed);
    }
}

impl Drop for ConnectionHeads {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A request whose head was whole. It goes along with the request's body, as what arrives until its end is no head.
#[derive(Debug)]
pub(super) struct OpenRequest(Arc<ConnectionHeads>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A caller's connection whose heads count.
pub(super) type Metered<S> = Observed<S, HeadBytes>;

impl Observer for HeadBytes {
    fn observe(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.add(bytes.len()) {
            Ok(())
        // An error of reading is all that hyper understands here, and it closes the connection, which frees what it
        // held.
        } else {
            let words = "unknown callers hold too many bytes of unfinished heads";
            Err(io::Error::other(words))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn heads_that_are_never_whole_fill_the_budget_and_no_more() {
        let budget = HeadBudget::default();
        let mut open = Vec::new();
        let head = vec![b'x'; 64 << 10];
        let mut refused = 0;
        for _ in 0..600 {
            let (mut caller, here) = tokio::io::duplex(64 << 10);
            caller.write_all(&head).await.unwrap();
            let mut metered = Metered::new(here, budget.of_connection());
            let mut read = vec![0; 64 << 10];
            match metered.read_exact(&mut read).await {
                Ok(_) => open.push(metered),
                Err(_) => refused += 1,
            }
        }
        assert_eq!((open.len(), refused), (128, 472));
        drop(open);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn bodies_are_not_heads() {
        let budget = HeadBudget::default();
        let bytes = budget.of_connection();
        let (mut caller, here) = tokio::io::duplex(1 << 10);
        let mut metered = Metered::new(here, bytes.clone());
        caller.write_all(b"head").await.unwrap();
        metered.read_exact(&mut [0; 4]).await.unwrap();
        assert_eq!(budget.0.load(Ordering::Relaxed), 4);
        let request = bytes.whole();
        caller.write_all(b"body").await.unwrap();
        metered.read_exact(&mut [0; 4]).await.unwrap();
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
        drop(request);
        caller.write_all(b"next").await.unwrap();
        metered.read_exact(&mut [0; 4]).await.unwrap();
        assert_eq!(budget.0.load(Ordering::Relaxed), 4);
    }
}

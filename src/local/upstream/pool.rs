//! Kept connections to the one API server: HTTP/2 ones that many requests share, HTTP/1 ones that wait for the next.
//!
//! A connection over which nothing went for a minute is not trusted: it may have died while the machine slept or changed its
//! network, and a new one costs less than the wait for an answer that never comes. The clock is the wall's, which goes on in
//! sleep. Connections made with an older client certificate carry nothing new either.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use hyper::client::conn::{http1, http2};

/// Requests on one HTTP/2 connection; kube-apiserver allows 100 or 250, and one more would wait for a long poll to end.
pub(super) const MOST_STREAMS: u32 = 90;

/// A connection that was not used for this long is not used again.
const TRUSTED_FOR: Duration = Duration::from_secs(60);

/// HTTP/1 connections that wait.
const MOST_WAITING: usize = 32;

/// The connections that can carry a request.
#[derive(Debug, Default)]
pub(super) struct Pool {
    kept: Mutex<Kept>,
    /// Held while an HTTP/2 connection is made, so that all who need one share it.
    pub(super) dialling: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    shared: Vec<Shared>,
    waiting: Vec<Alone>,
    /// What the API server spoke last; unknown before the first connection.
    spoke_http1: bool,
}

/// An HTTP/2 connection.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) sender: http2::SendRequest<Body>,
    state: Arc<State>,
}

/// An HTTP/1 connection.
#[derive(Debug)]
pub(super) struct Alone {
    pub(super) sender: http1::SendRequest<Body>,
    state: State,
}

#[derive(Debug)]
struct State {
    generation: u64,
    streams: AtomicU32,
    /// Seconds since 1970.
    used: AtomicU64,
}

/// A request's place on an HTTP/2 connection, until its answer has come whole.
#[derive(Debug)]
pub(super) struct Stream(Arc<State>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.used.store(now(), Ordering::Relaxed);
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    fn new(generation: u64) -> Self {
        Self {
            generation,
            streams: AtomicU32::new(0),
            used: AtomicU64::new(now()),
        }
    }

    fn is_trusted(&self, generation: u64) -> bool {
        let unused = now().saturating_sub(self.used.load(Ordering::Relaxed));
        self.generation == generation && unused <= TRUSTED_FOR.as_secs()
    }
}

impl Shared {
    /// Takes a place on the connection.
    pub(super) fn enter(&self) -> Stream {
        self.state.streams.fetch_add(1, Ordering::Relaxed);
        self.state.used.store(now(), Ordering::Relaxed);
        Stream(Arc::clone(&self.state))
    }

    fn has_place(&self) -> bool {
        self.state.streams.load(Ordering::Relaxed) < MOST_STREAMS
    }
}

impl Pool {
    /// An HTTP/2 connection with a place for a request.
    pub(super) fn shared(&self, generation: u64) -> Option<Shared> {
        let mut kept = self.lock();
        // Requests that still run on a connection that is not trusted any more keep it alive by themselves.
        kept.shared
            .retain(|one| !one.sender.is_closed() && one.state.is_trusted(generation));
        kept.shared.iter().find(|one| one.has_place()).cloned()
    }

    /// An HTTP/1 connection that waits.
    pub(super) fn alone(&self, generation: u64) -> Option<Alone> {
        let mut kept = self.lock();
        kept.waiting
            .retain(|one| !one.sender.is_closed() && one.state.is_trusted(generation));
        // The one used last; one that is still busy with the end of its exchange stays for the next.
        let ready = kept.waiting.iter().rposition(|one| one.sender.is_ready());
        ready.map(|at| kept.waiting.remove(at))
    }

    /// Whether connections can't be shared.
    pub(super) fn speaks_http1(&self) -> bool {
        self.lock().spoke_http1
    }

    /// Adds an HTTP/2 connection.
    pub(super) fn share(&self, sender: http2::SendRequest<Body>, generation: u64) -> Shared {
        let state = Arc::new(State::new(generation));
        let shared = Shared { sender, state };
        let mut kept = self.lock();
        kept.spoke_http1 = false;
        kept.shared.push(shared.clone());
        shared
    }

    /// An HTTP/1 connection that was just made.
    pub(super) fn own(&self, sender: http1::SendRequest<Body>, generation: u64) -> Alone {
        self.lock().spoke_http1 = true;
        let state = State::new(generation);
        Alone { sender, state }
    }

    /// Takes an HTTP/1 connection back after an exchange.
    pub(super) fn give_back(&self, alone: Alone) {
        if alone.sender.is_closed() {
            return;
        }
        alone.state.used.store(now(), Ordering::Relaxed);
        let mut kept = self.lock();
        if kept.waiting.len() < MOST_WAITING {
            kept.waiting.push(alone);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A poisoned lock guards nothing that a panic could have left half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

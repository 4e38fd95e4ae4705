//! Connections to the one API server: HTTP/2 ones that many requests share, and idle HTTP/1 ones.
//!
//! A connection that was not used for [`IDLE_TIMEOUT`] is not used again: it may have died while the machine slept or
//! changed its network, and a new one costs less than the wait for a response that never comes. The clock is the
//! wall's, which goes on in sleep. Connections made with an older client certificate carry nothing new either.
//!
//! `serve` has a pool of its own (`serve/forward/transport/pool.rs`): its connections go to thousands of addresses,
//! each with bounds and a sweep, and under kubelets' roots that may be withdrawn. Here is one server and one user, so
//! neither is needed; what both could share is a list of senders.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use hyper::client::conn::{http1, http2};

/// Requests on one HTTP/2 connection; kube-apiserver allows 100 or 250, and one more would wait for a long poll to end.
pub(super) const MAX_STREAMS: u32 = 90;

/// A connection that was not used for this long is not used again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Idle HTTP/1 connections.
const MAX_IDLE: usize = 32;

/// The connections that can carry a request.
#[derive(Debug, Default)]
pub(super) struct UpstreamPool {
    connections: Mutex<Connections>,
    /// Held while an HTTP/2 connection is made, so that all who need one share it.
    pub(super) connecting: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Connections {
    http2: Vec<PooledHttp2>,
    idle_http1: Vec<PooledHttp1>,
    /// What the API server spoke last; unknown before the first connection.
    spoke_http1: bool,
}

/// An HTTP/2 connection, which its requests share.
#[derive(Debug, Clone)]
pub(super) struct PooledHttp2 {
    pub(super) sender: http2::SendRequest<Body>,
    usage: Arc<Usage>,
}

/// An HTTP/1 connection, for one request at a time.
#[derive(Debug)]
pub(super) struct PooledHttp1 {
    pub(super) sender: http1::SendRequest<Body>,
    usage: Usage,
}

#[derive(Debug)]
struct Usage {
    generation: u64,
    streams: AtomicU32,
    /// Seconds since 1970.
    last_used: AtomicU64,
}

/// A request's stream on an HTTP/2 connection, until its response is complete.
#[derive(Debug)]
pub(super) struct StreamGuard(Arc<Usage>);

impl Drop for StreamGuard {
    fn drop(&mut self) {
        // The end of a stream is use too: a watch of an hour leaves a connection that is alive.
        self.0.last_used.store(now(), Ordering::Relaxed);
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Usage {
    fn new(generation: u64) -> Self {
        Self {
            generation,
            streams: AtomicU32::new(0),
            last_used: AtomicU64::new(now()),
        }
    }

    fn is_usable(&self, generation: u64) -> bool {
        // A clock that is set back makes a connection young, which costs one failed attempt at the most.
        let idle = now().saturating_sub(self.last_used.load(Ordering::Relaxed));
        self.generation == generation && idle <= IDLE_TIMEOUT.as_secs()
    }
}

impl PooledHttp2 {
    pub(super) fn open_stream(&self) -> StreamGuard {
        self.usage.streams.fetch_add(1, Ordering::Relaxed);
        self.usage.last_used.store(now(), Ordering::Relaxed);
        StreamGuard(Arc::clone(&self.usage))
    }

    fn has_free_stream(&self) -> bool {
        self.usage.streams.load(Ordering::Relaxed) < MAX_STREAMS
    }
}

impl UpstreamPool {
    /// An HTTP/2 connection with a free stream.
    pub(super) fn http2(&self, generation: u64) -> Option<PooledHttp2> {
        // A look at two short lists, never held across an await.
        let mut connections = self.lock();
        // Requests that still run on a connection that is dropped here keep it alive by themselves.
        connections
            .http2
            .retain(|one| !one.sender.is_closed() && one.usage.is_usable(generation));
        let mut free = connections.http2.iter();
        free.find(|one| one.has_free_stream()).cloned()
    }

    /// An idle HTTP/1 connection.
    pub(super) fn http1(&self, generation: u64) -> Option<PooledHttp1> {
        let mut connections = self.lock();
        let idle = &mut connections.idle_http1;
        idle.retain(|one| !one.sender.is_closed() && one.usage.is_usable(generation));
        // The one used last. One that is still busy with the end of its exchange stays for the next request.
        let ready = idle.iter().rposition(|one| one.sender.is_ready());
        // Taken out while it is used, so that no second request can find it.
        ready.map(|at| idle.remove(at))
    }

    /// Whether connections can't be shared.
    pub(super) fn speaks_http1(&self) -> bool {
        self.lock().spoke_http1
    }

    /// Adds an HTTP/2 connection.
    pub(super) fn add_http2(
        &self,
        sender: http2::SendRequest<Body>,
        generation: u64,
    ) -> PooledHttp2 {
        let usage = Arc::new(Usage::new(generation));
        let connection = PooledHttp2 { sender, usage };
        let mut connections = self.lock();
        // The server may have been replaced by one that speaks HTTP/2, and then requests share again.
        connections.spoke_http1 = false;
        connections.http2.push(connection.clone());
        connection
    }

    /// An HTTP/1 connection that was just made. It is in the pool when it is given back.
    pub(super) fn new_http1(
        &self,
        sender: http1::SendRequest<Body>,
        generation: u64,
    ) -> PooledHttp1 {
        self.lock().spoke_http1 = true;
        let usage = Usage::new(generation);
        PooledHttp1 { sender, usage }
    }

    /// Takes an HTTP/1 connection back after an exchange.
    pub(super) fn give_back(&self, connection: PooledHttp1) {
        if connection.sender.is_closed() {
            return;
        }
        connection.usage.last_used.store(now(), Ordering::Relaxed);
        let mut connections = self.lock();
        // One too many is dropped, and closes.
        if connections.idle_http1.len() < MAX_IDLE {
            connections.idle_http1.push(connection);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        // A poisoned lock guards nothing that a panic could have left half done.
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

//! Connections to backends that are open, by address and scheme.
//!
//! Idle HTTP/1 connections are LIFO, so that surplus ones time out. HTTP/2 connections are shared: each takes as many streams
//! as its backend allows, then another is opened. A connection that its backend closed is noticed before it is used if the
//! close has arrived, and otherwise by the retry (`forward/retry.rs`).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use papaya::HashMap;

use super::bulk_read::{self, BulkRead};
use super::connection::{HeaderCase, Http1Connection, Http2Connection};
use super::io::READ_BYTES;
use super::streams::StreamSlot;
use crate::serve::destination::Scheme;
use crate::serve::endpoint::Endpoint;
use crate::serve::fairness::Places;
use crate::serve::request_context::RequestContext;

/// Idle HTTP/1 connections of all addresses together. A Service may have thousands of endpoints.
const MAX_IDLE: usize = 1024;

/// HTTP/2 connections to one address that are shared.
const MAX_SHARED: usize = 16;

/// How often connections that were idle for too long are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What tells connections apart that must not be mixed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::serve::forward) struct PoolKey {
    address: SocketAddr,
    scheme: Scheme,
    /// The kubelets' trust that it was made under: connections under withdrawn roots are not used again.
    trust: u64,
    header_case: HeaderCase,
}

impl PoolKey {
    pub(in crate::serve::forward) fn new(
        endpoint: &Endpoint,
        trust: u64,
        header_case: HeaderCase,
    ) -> Self {
        Self {
            address: *endpoint.address,
            scheme: endpoint.scheme,
            trust,
            header_case,
        }
    }

    /// The same for another endpoint of the same destination.
    pub(in crate::serve::forward) fn at(self, endpoint: &Endpoint) -> Self {
        Self {
            address: *endpoint.address,
            scheme: endpoint.scheme,
            ..self
        }
    }
}

/// An open connection that can carry one more request.
#[derive(Debug)]
pub(in crate::serve::forward) enum Reusable {
    Http1(Http1Connection),
    Http2(Http2Connection, StreamSlot),
}

#[derive(Debug)]
struct Idle {
    connection: Http1Connection,
    since: Instant,
}

/// The connections to one address.
#[derive(Debug, Default)]
struct Host {
    http1: Mutex<Vec<Idle>>,
    http2: Mutex<Vec<Http2Connection>>,
}

#[derive(Debug)]
pub(in crate::serve::forward) struct Pool {
    hosts: HashMap<PoolKey, Arc<Host>, RandomState>,
    idle_timeout: Duration,
    max_idle_per_endpoint: usize,
    /// Idle HTTP/1 connections, of all addresses.
    idle: AtomicUsize,
    bulk_reads: Arc<Places>,
}

/// An HTTP/1 connection in use, and its way back.
#[derive(Debug)]
pub(in crate::serve::forward) struct PooledConnection {
    pool: Arc<Pool>,
    key: PoolKey,
    connection: Http1Connection,
    bulk_read: BulkRead,
}

impl PooledConnection {
    pub(in crate::serve::forward) fn new(
        pool: Arc<Pool>,
        key: PoolKey,
        connection: Http1Connection,
    ) -> Self {
        Self {
            pool,
            key,
            connection,
            bulk_read: BulkRead::default(),
        }
    }

    /// A piece of the response's body went on.
    pub(in crate::serve::forward) fn passed(&mut self, bytes: usize, context: &RequestContext) {
        let (places, state) = (&self.pool.bulk_reads, &self.connection.state);
        self.bulk_read.passed(bytes, places, context, state);
    }

    /// The exchange is over, the connection may carry another.
    pub(in crate::serve::forward) fn give_back(self) {
        if !self.connection.requests.is_closed() {
            self.connection.state.read_at_most(READ_BYTES);
            self.pool.put(self.key, self.connection);
        }
    }
}

/// What an exchange has of a connection until its end.
#[derive(Debug)]
pub(in crate::serve::forward) enum Lease {
    Http1(PooledConnection),
    Http2(StreamSlot),
}

impl Lease {
    /// A piece of the body went on.
    pub(in crate::serve::forward) fn passed(&mut self, bytes: usize, context: &RequestContext) {
        match self {
            Self::Http1(connection) => connection.passed(bytes, context),
            Self::Http2(slot) => slot.passed(),
        }
    }

    pub(in crate::serve::forward) fn give_back(self) {
        match self {
            Self::Http1(connection) => connection.give_back(),
            Self::Http2(slot) => drop(slot),
        }
    }
}

impl Host {
    /// An HTTP/1 connection that is ready for a request.
    fn take(&self, idle_timeout: Duration, count: &AtomicUsize) -> Option<Http1Connection> {
        let mut idle = lock(&self.http1);
        // From the top: one that is still busy with the end of its last exchange stays for the next caller.
        for at in (0..idle.len()).rev() {
            if idle[at].connection.requests.is_ready() {
                let found = idle.remove(at);
                count.fetch_sub(1, Ordering::Relaxed);
                if found.since.elapsed() < idle_timeout {
                    return Some(found.connection);
                }
            } else if idle[at].connection.requests.is_closed() {
                idle.remove(at);
                count.fetch_sub(1, Ordering::Relaxed);
            }
        }
        None
    }

    /// An HTTP/2 connection with a free stream; any, if there may be no more connections.
    fn shared(&self) -> Option<(Http2Connection, StreamSlot)> {
        let mut shared = lock(&self.http2);
        shared.retain(|connection| !connection.requests.is_closed());
        let free = |connection: &Http2Connection| {
            let slot = connection.streams().take_free()?;
            Some((connection.clone(), slot))
        };
        if let Some(found) = shared.iter().find_map(free) {
            return Some(found);
        }
        if shared.len() < MAX_SHARED {
            return None;
        }
        let least = shared
            .iter()
            .min_by_key(|connection| connection.streams().open())?;
        Some((least.clone(), least.streams().take_any()))
    }
}

impl Pool {
    pub(in crate::serve::forward) fn new(
        idle_timeout: Duration,
        max_idle_per_endpoint: usize,
    ) -> Self {
        Self {
            hosts: HashMap::default(),
            idle_timeout,
            max_idle_per_endpoint,
            idle: AtomicUsize::new(0),
            bulk_reads: bulk_read::places(),
        }
    }

    /// An open connection that can carry a request now.
    pub(in crate::serve::forward) fn take(&self, key: &PoolKey) -> Option<Reusable> {
        let host = self.hosts.pin().get(key).cloned()?;
        if let Some((connection, slot)) = host.shared() {
            return Some(Reusable::Http2(connection, slot));
        }
        host.take(self.idle_timeout, &self.idle)
            .map(Reusable::Http1)
    }

    fn put(&self, key: PoolKey, connection: Http1Connection) {
        let host = Arc::clone(self.hosts.pin().get_or_insert_with(key, Arc::default));
        let mut idle = lock(&host.http1);
        if idle.len() < self.max_idle_per_endpoint && self.idle.load(Ordering::Relaxed) < MAX_IDLE {
            self.idle.fetch_add(1, Ordering::Relaxed);
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    pub(in crate::serve::forward) fn share(&self, key: PoolKey, connection: Http2Connection) {
        let host = Arc::clone(self.hosts.pin().get_or_insert_with(key, Arc::default));
        let mut shared = lock(&host.http2);
        // Requests that came together may each have made one; those too many end with their own requests.
        if shared.len() < MAX_SHARED {
            shared.push(connection);
        }
    }

    /// Shares a connection no longer.
    pub(in crate::serve::forward) fn forget(&self, key: &PoolKey, gone: &Http2Connection) {
        if let Some(host) = self.hosts.pin().get(key) {
            let is_another = |shared: &Http2Connection| !shared.is_same(gone);
            lock(&host.http2).retain(is_another);
        }
    }

    /// How many connections are idle.
    pub(in crate::serve::forward) fn idle(&self) -> usize {
        self.idle.load(Ordering::Relaxed)
    }

    /// Closes connections that were idle for too long, and forgets addresses that nobody uses.
    pub(in crate::serve::forward) async fn sweep(self: Arc<Self>) {
        let mut tick = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            tick.tick().await;
            self.hosts.pin().retain(|_, host| {
                let mut idle = lock(&host.http1);
                let before = idle.len();
                idle.retain(|one| {
                    one.since.elapsed() < self.idle_timeout && !one.connection.requests.is_closed()
                });
                self.idle.fetch_sub(before - idle.len(), Ordering::Relaxed);
                let mut shared = lock(&host.http2);
                shared.retain(|connection| !connection.requests.is_closed());
                !idle.is_empty() || !shared.is_empty()
            });
        }
    }
}

/// A poisoned lock guards nothing that a panic could have left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

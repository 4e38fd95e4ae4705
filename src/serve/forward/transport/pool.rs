//! Connections to backends that are open, by address and scheme.
//!
//! Idle HTTP/1 connections are LIFO, so that surplus ones time out. HTTP/2 connections are shared: each takes as many
//! streams as its backend allows, then another is opened. A connection that its backend closed is noticed before it is
//! used if the close has arrived, and otherwise by the retry (`forward/retry.rs`).

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
use crate::serve::fairness::Slots;
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
    _counted: IdleCount,
}

/// An idle connection that counts until it is dropped, wherever that happens: the sweep may forget an address just as a
/// connection comes back to it.
#[derive(Debug)]
struct IdleCount(Arc<AtomicUsize>);

impl IdleCount {
    fn new(idle: &Arc<AtomicUsize>) -> Self {
        idle.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(idle))
    }
}

impl Drop for IdleCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
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
    idle: Arc<AtomicUsize>,
    bulk_reads: Arc<Slots>,
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
        let (slots, state) = (&self.pool.bulk_reads, &self.connection.state);
        self.bulk_read.passed(bytes, slots, context, state);
    }

    /// The exchange is over, the connection may carry another.
    pub(in crate::serve::forward) fn give_back(self) {
        // A connection that its backend has closed would only be found closed by the next request.
        if !self.connection.requests.is_closed() {
            // The next exchange begins small again; its body may be one of many that are slow.
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
    fn take(&self, idle_timeout: Duration) -> Option<Http1Connection> {
        // Held for a look at a list and never across an await; each address has its own, so that one busy Service does
        // not slow others.
        let mut idle = lock(&self.http1);
        // From the top: one that is still busy with the end of its last exchange stays for the next caller.
        for at in (0..idle.len()).rev() {
            // `is_ready` says also that the backend has not closed it, as far as anybody knows.
            if idle[at].connection.requests.is_ready() {
                let found = idle.remove(at);
                // One that is too old is dropped here and not given out: its backend's own timeout is probably near.
                if found.since.elapsed() < idle_timeout {
                    return Some(found.connection);
                }
            } else if idle[at].connection.requests.is_closed() {
                idle.remove(at);
            }
        }
        None
    }

    /// An HTTP/2 connection with a free stream; any, if there may be no more connections.
    fn shared(&self) -> Option<(Http2Connection, StreamSlot)> {
        let mut shared = lock(&self.http2);
        // Before one is chosen: a closed one has all its streams free.
        shared.retain(|connection| !connection.requests.is_closed());
        let free = |connection: &Http2Connection| {
            let slot = connection.streams().take_free()?;
            Some((connection.clone(), slot))
        };
        if let Some(found) = shared.iter().find_map(free) {
            return Some(found);
        }
        // The caller makes a new one instead, which it then shares.
        if shared.len() < MAX_SHARED {
            return None;
        }
        // All are full and there may be no more, so requests wait in h2 on the one that has the fewest.
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
            idle: Arc::default(),
            bulk_reads: bulk_read::slots(),
        }
    }

    /// An open connection that can carry a request now.
    pub(in crate::serve::forward) fn take(&self, key: &PoolKey) -> Option<Reusable> {
        let host = self.hosts.pin().get(key).cloned()?;
        // HTTP/2 first: its connections are open anyway, and one more stream on them costs nothing.
        if let Some((connection, slot)) = host.shared() {
            return Some(Reusable::Http2(connection, slot));
        }
        host.take(self.idle_timeout).map(Reusable::Http1)
    }

    fn put(&self, key: PoolKey, connection: Http1Connection) {
        let host = Arc::clone(self.hosts.pin().get_or_insert_with(key, Arc::default));
        self.put_into(&host, connection);
    }

    /// The sweep may have forgotten the host meanwhile: then the connection ends with it.
    fn put_into(&self, host: &Host, connection: Http1Connection) {
        let mut idle = lock(&host.http1);
        // Both bounds are read without a common lock; a few connections too many for a moment do no harm.
        if idle.len() < self.max_idle_per_endpoint && self.idle.load(Ordering::Relaxed) < MAX_IDLE {
            idle.push(Idle {
                connection,
                since: Instant::now(),
                _counted: IdleCount::new(&self.idle),
            });
        }
    }

    pub(in crate::serve::forward) fn share(&self, key: PoolKey, connection: Http2Connection) {
        let host = Arc::clone(self.hosts.pin().get_or_insert_with(key, Arc::default));
        let mut shared = lock(&host.http2);
        // The connection itself lives on with its requests, as nothing but sharing ends here.
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
                // Both locks of one address and never two addresses at once, and a request takes only one of them:
                // nothing can wait in a circle.
                let mut idle = lock(&host.http1);
                idle.retain(|one| {
                    one.since.elapsed() < self.idle_timeout && !one.connection.requests.is_closed()
                });
                let mut shared = lock(&host.http2);
                shared.retain(|connection| !connection.requests.is_closed());
                // An address that is forgotten here while a request is under way to it is simply added again.
                !idle.is_empty() || !shared.is_empty()
            });
        }
    }
}

/// A poisoned lock guards nothing that a panic could have left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;

    use super::*;
    use crate::serve::forward::transport::request_body::RequestBody;

    #[tokio::test]
    async fn a_connection_that_comes_back_as_its_address_is_forgotten_is_not_counted() {
        let pool = Pool::new(Duration::from_secs(30), 8);
        let (here, _there) = tokio::io::duplex(1);
        let shaken =
            hyper::client::conn::http1::handshake::<_, RequestBody>(TokioIo::new(here)).await;
        let (requests, _connection) = shaken.unwrap();
        let connection = Http1Connection {
            requests,
            state: Arc::default(),
        };
        // What `put` has found, and the sweep forgets before the connection is in it.
        let host = Arc::new(Host::default());
        pool.put_into(&host, connection);
        assert_eq!(pool.idle(), 1);
        drop(host);
        assert_eq!(pool.idle(), 0);
    }
}

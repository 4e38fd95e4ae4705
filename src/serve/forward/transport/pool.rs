//! Kept connections to backends, by address and scheme.
//!
//! HTTP/1 connections wait in a stack, the one used last on top, so that the others grow old and go. HTTP/2 connections are
//! shared: each takes as many streams as its backend allows, then another is opened. A connection that its backend closed is noticed before it is used if the close has
//! arrived, and otherwise by the retry in `exchange.rs`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use hyper::client::conn::{http1, http2};
use papaya::HashMap;

use super::super::body::Up;
use super::bulk_read::{self, BulkRead, READ_BYTES};
use super::connection::Spelling;
use super::io::Received;
use super::streams::{StreamPlace, Streams};
use crate::serve::destination::Scheme;
use crate::serve::endpoint::Endpoint;
use crate::serve::fairness::Places;
use crate::serve::request_context::RequestContext;

/// HTTP/1 connections that wait at all addresses together. A Service may have thousands of endpoints.
const MAX_IDLE: usize = 1024;

/// HTTP/2 connections to one address that are shared.
const MAX_SHARED: usize = 16;

/// How often connections that waited for too long are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What tells connections apart that must not be mixed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::serve::forward) struct Key {
    address: SocketAddr,
    scheme: Scheme,
    /// The kubelets' trust that it was made under: connections under withdrawn roots are not used again.
    trust: u64,
    spelling: Spelling,
}

impl Key {
    pub(in crate::serve::forward) fn new(
        endpoint: &Endpoint,
        trust: u64,
        spelling: Spelling,
    ) -> Self {
        Self {
            address: *endpoint.address,
            scheme: endpoint.scheme,
            trust,
            spelling,
        }
    }
}

/// A connection that can carry a request.
#[derive(Debug)]
pub(in crate::serve::forward) struct Http1 {
    pub(in crate::serve::forward) key: Key,
    pub(in crate::serve::forward) sender: http1::SendRequest<Up>,
    pub(in crate::serve::forward) received: Arc<Received>,
}

impl Drop for Http1 {
    fn drop(&mut self) {
        self.received.give_up();
    }
}

/// A connection that many requests share.
#[derive(Debug, Clone)]
pub(in crate::serve::forward) struct Http2 {
    pub(in crate::serve::forward) sender: http2::SendRequest<Up>,
    streams: Arc<Streams>,
}

impl Http2 {
    /// A fresh connection, and the place of the request that it was made for.
    pub(in crate::serve::forward) fn new(
        sender: http2::SendRequest<Up>,
        received: Arc<Received>,
    ) -> (Self, StreamPlace) {
        let streams = Arc::new(Streams::new(received));
        let place = streams.take_any();
        (Self { sender, streams }, place)
    }

    pub(in crate::serve::forward) fn received(&self) -> &Arc<Received> {
        self.streams.received()
    }

    pub(in crate::serve::forward) fn streams(&self) -> Arc<Streams> {
        Arc::clone(&self.streams)
    }
}

/// What was kept for an endpoint.
#[derive(Debug)]
pub(in crate::serve::forward) enum Kept {
    Http1(Http1),
    Http2(Http2, StreamPlace),
}

#[derive(Debug)]
struct Waiting {
    connection: Http1,
    since: Instant,
}

/// The connections to one address.
#[derive(Debug, Default)]
struct Host {
    http1: Mutex<Vec<Waiting>>,
    http2: Mutex<Vec<Http2>>,
}

#[derive(Debug)]
pub(in crate::serve::forward) struct Pool {
    hosts: HashMap<Key, Arc<Host>, RandomState>,
    lifetime: Duration,
    most: usize,
    /// HTTP/1 connections that wait, at all addresses.
    idle: AtomicUsize,
    bulk_reads: Arc<Places>,
}

/// A connection in use, and its way back.
#[derive(Debug)]
pub(in crate::serve::forward) struct Return {
    pool: Arc<Pool>,
    connection: Http1,
    bulk_read: BulkRead,
}

impl Return {
    pub(in crate::serve::forward) fn new(pool: Arc<Pool>, connection: Http1) -> Self {
        Self {
            pool,
            connection,
            bulk_read: BulkRead::default(),
        }
    }

    /// A piece of the answer's body went on.
    pub(in crate::serve::forward) fn passed(&mut self, bytes: usize, context: &RequestContext) {
        let (places, received) = (&self.pool.bulk_reads, &self.connection.received);
        self.bulk_read.passed(bytes, places, context, received);
    }

    /// The exchange is over, the connection may carry another.
    pub(in crate::serve::forward) fn give_back(self) {
        if !self.connection.sender.is_closed() {
            self.connection.received.read_at_most(READ_BYTES);
            self.pool.put(self.connection);
        }
    }
}

impl Host {
    /// An HTTP/1 connection that is ready for a request.
    fn take(&self, lifetime: Duration, idle: &AtomicUsize) -> Option<Http1> {
        let mut waiting = lock(&self.http1);
        // From the top: one that is still busy with the end of its last exchange stays for the next caller.
        for at in (0..waiting.len()).rev() {
            if waiting[at].connection.sender.is_ready() {
                let found = waiting.remove(at);
                idle.fetch_sub(1, Ordering::Relaxed);
                if found.since.elapsed() < lifetime {
                    return Some(found.connection);
                }
            } else if waiting[at].connection.sender.is_closed() {
                waiting.remove(at);
                idle.fetch_sub(1, Ordering::Relaxed);
            }
        }
        None
    }

    /// An HTTP/2 connection with a free stream; any, if there may be no more connections.
    fn shared(&self) -> Option<(Http2, StreamPlace)> {
        let mut shared = lock(&self.http2);
        shared.retain(|connection| !connection.sender.is_closed());
        let free = |connection: &Http2| {
            let place = connection.streams.take_free()?;
            Some((connection.clone(), place))
        };
        if let Some(found) = shared.iter().find_map(free) {
            return Some(found);
        }
        if shared.len() < MAX_SHARED {
            return None;
        }
        let least = shared
            .iter()
            .min_by_key(|connection| connection.streams.open())?;
        Some((least.clone(), least.streams.take_any()))
    }
}

impl Pool {
    pub(in crate::serve::forward) fn new(lifetime: Duration, most: usize) -> Self {
        Self {
            hosts: HashMap::default(),
            lifetime,
            most,
            idle: AtomicUsize::new(0),
            bulk_reads: bulk_read::places(),
        }
    }

    /// A kept connection that can carry a request now.
    pub(in crate::serve::forward) fn take(&self, key: &Key) -> Option<Kept> {
        let host = self.hosts.pin().get(key).cloned()?;
        if let Some((connection, place)) = host.shared() {
            return Some(Kept::Http2(connection, place));
        }
        host.take(self.lifetime, &self.idle).map(Kept::Http1)
    }

    fn put(&self, connection: Http1) {
        let key = connection.key;
        let host = Arc::clone(self.hosts.pin().get_or_insert_with(key, Arc::default));
        let mut waiting = lock(&host.http1);
        if waiting.len() < self.most && self.idle.load(Ordering::Relaxed) < MAX_IDLE {
            self.idle.fetch_add(1, Ordering::Relaxed);
            waiting.push(Waiting {
                connection,
                since: Instant::now(),
            });
        }
    }

    pub(in crate::serve::forward) fn share(&self, key: Key, connection: Http2) {
        let host = Arc::clone(self.hosts.pin().get_or_insert_with(key, Arc::default));
        let mut shared = lock(&host.http2);
        // Requests that came together may each have made one; those too many end with their own requests.
        if shared.len() < MAX_SHARED {
            shared.push(connection);
        }
    }

    /// Shares a connection no longer.
    pub(in crate::serve::forward) fn forget(&self, key: &Key, gone: &Http2) {
        if let Some(host) = self.hosts.pin().get(key) {
            let is_another = |kept: &Http2| !Arc::ptr_eq(&kept.streams, &gone.streams);
            lock(&host.http2).retain(is_another);
        }
    }

    pub(in crate::serve::forward) fn waiting(&self) -> usize {
        self.idle.load(Ordering::Relaxed)
    }

    /// Lets connections go that waited for too long, and forgets addresses that nobody uses.
    pub(in crate::serve::forward) async fn sweep(self: Arc<Self>) {
        let mut tick = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            tick.tick().await;
            self.hosts.pin().retain(|_, host| {
                let mut waiting = lock(&host.http1);
                let before = waiting.len();
                waiting.retain(|one| {
                    one.since.elapsed() < self.lifetime && !one.connection.sender.is_closed()
                });
                self.idle
                    .fetch_sub(before - waiting.len(), Ordering::Relaxed);
                let mut shared = lock(&host.http2);
                shared.retain(|connection| !connection.sender.is_closed());
                !waiting.is_empty() || !shared.is_empty()
            });
        }
    }
}

/// A poisoned lock guards nothing that a panic could have left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

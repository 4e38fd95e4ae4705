//! Kept connections to backends, by address and scheme.
//!
//! HTTP/1 connections wait in a stack, the one used last on top, so that the others grow old and go; one HTTP/2
//! connection is shared by everybody. A connection that its backend closed is noticed before it is used if the close has
//! arrived, and otherwise by the retry in `exchange.rs`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use hyper::client::conn::{http1, http2};
use papaya::HashMap;

use super::body::Up;
use super::dial::Received;
use super::versions::Spelling;
use crate::endpoint::Endpoint;
use crate::target::Scheme;

/// How often connections that waited for too long are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What tells connections apart that must not be mixed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    address: SocketAddr,
    scheme: Scheme,
    /// The kubelets' trust that it was made under: connections under withdrawn roots are not used again.
    trust: usize,
    spelling: Spelling,
}

impl Key {
    pub(super) fn new(endpoint: &Endpoint, trust: usize, spelling: Spelling) -> Self {
        Self {
            address: endpoint.address,
            scheme: endpoint.scheme,
            trust,
            spelling,
        }
    }
}

/// A connection that can carry a request.
#[derive(Debug)]
pub(super) struct Http1 {
    pub(super) key: Key,
    pub(super) sender: http1::SendRequest<Up>,
    pub(super) received: Arc<Received>,
}

/// A connection that many requests share.
pub(super) type Http2 = http2::SendRequest<Up>;

/// What was kept for an endpoint.
#[derive(Debug)]
pub(super) enum Kept {
    Http1(Http1),
    Http2(Http2),
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
    http2: Mutex<Option<Http2>>,
}

#[derive(Debug)]
pub(super) struct Pool {
    hosts: HashMap<Key, Arc<Host>, RandomState>,
    lifetime: Duration,
    most: usize,
}

/// A connection in use, and its way back.
#[derive(Debug)]
pub(super) struct Return {
    pool: Arc<Pool>,
    connection: Http1,
}

impl Return {
    pub(super) fn new(pool: Arc<Pool>, connection: Http1) -> Self {
        Self { pool, connection }
    }

    /// The exchange is over, the connection may carry another.
    pub(super) fn give_back(self) {
        if !self.connection.sender.is_closed() {
            self.pool.put(self.connection);
        }
    }
}

impl Host {
    /// An HTTP/1 connection that is ready for a request.
    fn take(&self, lifetime: Duration) -> Option<Http1> {
        let mut waiting = lock(&self.http1);
        // From the top: one that is still busy with the end of its last exchange stays for the next caller.
        for at in (0..waiting.len()).rev() {
            if waiting[at].connection.sender.is_ready() {
                let found = waiting.remove(at);
                if found.since.elapsed() < lifetime {
                    return Some(found.connection);
                }
            } else if waiting[at].connection.sender.is_closed() {
                waiting.remove(at);
            }
        }
        None
    }

    /// The HTTP/2 connection, if it still takes requests.
    fn shared(&self) -> Option<Http2> {
        let shared = lock(&self.http2);
        shared
            .as_ref()
            .filter(|sender| !sender.is_closed())
            .cloned()
    }
}

impl Pool {
    pub(super) fn new(lifetime: Duration, most: usize) -> Self {
        Self {
            hosts: HashMap::default(),
            lifetime,
            most,
        }
    }

    /// A kept connection that can carry a request now.
    pub(super) fn take(&self, key: &Key) -> Option<Kept> {
        let host = self.hosts.pin().get(key).cloned()?;
        host.shared()
            .map(Kept::Http2)
            .or_else(|| host.take(self.lifetime).map(Kept::Http1))
    }

    fn put(&self, connection: Http1) {
        let key = connection.key;
        let host = Arc::clone(self.hosts.pin().get_or_insert_with(key, Arc::default));
        let mut waiting = lock(&host.http1);
        if waiting.len() < self.most {
            waiting.push(Waiting {
                connection,
                since: Instant::now(),
            });
        }
    }

    pub(super) fn share(&self, key: Key, sender: Http2) {
        let host = Arc::clone(self.hosts.pin().get_or_insert_with(key, Arc::default));
        *lock(&host.http2) = Some(sender);
    }

    pub(super) fn waiting(&self) -> usize {
        self.hosts
            .pin()
            .values()
            .map(|host| lock(&host.http1).len())
            .sum()
    }

    /// Lets connections go that waited for too long, and forgets addresses that nobody uses.
    pub(super) async fn sweep(self: Arc<Self>) {
        let mut tick = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            tick.tick().await;
            self.hosts.pin().retain(|_, host| {
                let mut waiting = lock(&host.http1);
                waiting.retain(|one| {
                    one.since.elapsed() < self.lifetime && !one.connection.sender.is_closed()
                });
                !waiting.is_empty() || host.shared().is_some()
            });
        }
    }
}

/// A poisoned lock guards nothing that a panic could have left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

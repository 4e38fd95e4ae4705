//! How many connections to backends are idle, and how many are shared.

use hyper_util::rt::TokioExecutor;

use super::super::transport::connection::{HeaderCase, Http1Connection, Http2Connection};
use super::super::transport::pool::{Pool, PoolKey, PooledConnection, Reusable};
use super::super::transport::request_body::RequestBody;
use super::*;

const LIFETIME: Duration = Duration::from_secs(30);

fn key(number: usize) -> PoolKey {
    let address = ([127, 0, 0, 1], u16::try_from(number).unwrap()).into();
    let endpoint = endpoints(Scheme::Http, &[address]).remove(0);
    PoolKey::new(&endpoint, 0, HeaderCase::Preserved)
}

/// Connections that nobody works on: they are open as long as they are there.
#[tokio::test]
async fn no_more_than_1024_connections_are_idle_at_all_addresses_together() {
    let pool = Arc::new(Pool::new(LIFETIME, 8));
    let mut open = Vec::new();
    for number in 0..1100 {
        let (here, there) = tokio::io::duplex(1);
        let shaken =
            hyper::client::conn::http1::handshake::<_, RequestBody>(TokioIo::new(here)).await;
        let (requests, connection) = shaken.unwrap();
        open.push((connection, there));
        let idle = Http1Connection {
            requests,
            state: Arc::default(),
        };
        PooledConnection::new(Arc::clone(&pool), key(number), idle).give_back();
    }
    assert_eq!(pool.idle(), 1024);
}

#[tokio::test]
async fn no_more_than_sixteen_http2_connections_to_one_address_are_shared() {
    let pool = Pool::new(LIFETIME, 8);
    let mut open = Vec::new();
    let mut slots = Vec::new();
    for number in 1..=20 {
        let (here, there) = tokio::io::duplex(1 << 10);
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (requests, connection) = builder
            .handshake::<_, RequestBody>(TokioIo::new(here))
            .await
            .unwrap();
        open.push((connection, there));
        let (connection, own) = Http2Connection::new(requests, Arc::default());
        drop(own);
        pool.share(key(1), connection);
        // All streams that a backend allows before it has said how many.
        for _ in 0..8 {
            match pool.take(&key(1)) {
                Some(Reusable::Http2(shared, slot)) => {
                    slots.push((Arc::clone(shared.streams()), slot))
                }
                other => panic!("connection {number}: {other:?}"),
            }
        }
        if number < 16 {
            let another = pool.take(&key(1));
            assert!(
                another.is_none(),
                "connection {number} has room: {another:?}"
            );
        }
    }
    let mut shared: Vec<_> = slots
        .iter()
        .map(|(streams, _)| Arc::as_ptr(streams))
        .collect();
    shared.sort_unstable();
    shared.dedup();
    assert_eq!(shared.len(), 16);
}

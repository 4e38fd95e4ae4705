//! Attacks over HTTP/2: many streams on few connections.

use bytes::Bytes;

use super::bodies::Coding;
use super::http2::{Connection, Open, Window};
use super::replica::service;
use super::{Held, Replica};
use crate::client::Client;

/// What a stranger's connection may have at once.
const STREAMS: usize = 100;

/// Connections: with them a user has more streams than places.
const CONNECTIONS: usize = 3;

/// Streams of each connection that shows unknown tokens: the first response ends it.
const TOKENS: usize = 20;

/// Bytes of the headers of one request, a little below what is refused.
const HEADERS: usize = 60_000;

pub async fn stalled_uploads(replica: &Replica) -> Held {
    let body = Bytes::from(vec![b'a'; 1 << 20]);
    all_streams(
        &replica.mallory_http2(),
        &service("deaf", "/"),
        &[],
        Some(body),
    )
    .await
}

pub async fn downloads(replica: &Replica) -> Held {
    let path = service("hostile", "/endless");
    all_streams(&replica.mallory_http2(), &path, &[], None).await
}

pub async fn pages(replica: &Replica, coding: Coding) -> Held {
    let connection = Connection::open(&replica.trudy_http2(), Window::Usual).await;
    let path = service("hostile", coding.path());
    let codings = [("accept-encoding", "gzip, deflate, br, zstd")];
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(connection.send(&path, &codings, None).await.unwrap());
    }
    let mut unread = Vec::new();
    for (response, _) in streams {
        // One that grows while pages have no room any more ends with an error.
        if let Ok(response) = response.await {
            assert_eq!(response.status(), 200);
            unread.push(response);
        }
    }
    Held::new(STREAMS, (connection, unread))
}

pub async fn big_headers(replica: &Replica) -> Held {
    let value = "a".repeat(HEADERS / 2);
    let path = service("hostile", &format!("/silent?{value}"));
    let headers = [("x-large", value.as_str())];
    all_streams(&replica.mallory_http2(), &path, &headers, None).await
}

pub async fn unknown_tokens(replica: &Replica, count: usize) -> Held {
    let mut open = Vec::new();
    for first in (0..count).step_by(TOKENS) {
        let connection =
            Connection::open(&Client::offering(replica.address, b"h2"), Window::Usual).await;
        let mut streams = Vec::new();
        for number in first..count.min(first + TOKENS) {
            let token = format!("Bearer {number:08}{}", "a".repeat(8 << 10));
            let headers = [("authorization", token.as_str())];
            match connection.send(&service("calm", "/"), &headers, None).await {
                Ok(stream) => streams.push(stream),
                Err(_) => break,
            }
        }
        // Its responses, one of which is the connection's end.
        for (response, _) in streams {
            let _ = response.await;
        }
        open.push(connection);
    }
    Held::new(count, open)
}

async fn all_streams(
    client: &Client,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Bytes>,
) -> Held {
    let mut open: Vec<(Connection, Vec<Open>)> = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(client, Window::Huge).await;
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let sent = connection.send(path, headers, body.clone()).await;
            streams.push(sent.expect("a user's connection stays open"));
        }
        connection.stop().await;
        open.push((connection, streams));
    }
    Held::new(CONNECTIONS * STREAMS, open)
}

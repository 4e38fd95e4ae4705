//! Messages through tunnels: each is sent when the one before it has come back.

use std::net::SocketAddr;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Tunnels at once.
const TUNNELS: u32 = 8;

/// Bytes of a message.
const MESSAGE: usize = 64;

/// Sends this many messages in all.
pub async fn messages(address: SocketAddr, count: u32) {
    join_all((0..TUNNELS).map(|_| one(address, count / TUNNELS))).await;
}

async fn one(address: SocketAddr, count: u32) {
    let mut stream = open(address).await;
    let (sent, mut got) = ([b'm'; MESSAGE], [0; MESSAGE]);
    for _ in 0..count {
        stream.write_all(&sent).await.unwrap();
        stream.read_exact(&mut got).await.unwrap();
    }
}

async fn open(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let head = format!(
        "GET /api/v1/echo HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\n") {
        assert!(stream.read_buf(&mut got).await.unwrap() > 0);
    }
    let response = String::from_utf8(got).unwrap();
    assert!(response.starts_with("HTTP/1.1 101"), "{response}");
    stream
}

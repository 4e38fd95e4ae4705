//! Attacks of which each takes a connection of its own.

use std::net::{IpAddr, Ipv4Addr};

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::replica::service;
use super::{Held, Replica};
use crate::client::Client;

/// Handshakes at once: of the places for them an address has 156.
const AT_ONCE: usize = 50;

/// Bytes of a head whose end does not come; at 64 KiB it would be refused.
const HEAD: usize = 60 << 10;

/// More than all buffers on the way to a backend hold.
const UPLOAD: usize = 64 << 20;

const PIECE: [u8; 1 << 14] = [b'a'; 1 << 14];

/// An address of which nobody else's connections come.
pub fn attacker(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 77, 0, 50 + number))
}

pub async fn unfinished_heads(replica: &Replica, count: usize) -> Held {
    let head = [
        b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec(),
        vec![b'a'; HEAD],
    ]
    .concat();
    let mut open = connect(&replica.stranger(attacker(0)), count).await;
    for stream in &mut open {
        // Those above the budget are closed.
        let _ = stream.write_all(&head).await;
        let _ = stream.flush().await;
    }
    Held::new(count, open)
}

pub async fn half_handshakes(replica: &Replica, count: usize) -> Held {
    let mut open = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(replica.address).await.unwrap();
        stream.write_all(b"\x16\x03\x01").await.unwrap();
        open.push(stream);
    }
    Held::new(count, open)
}

pub async fn idle(replica: &Replica, from: u8, count: usize) -> Held {
    let stranger = replica.stranger(attacker(from));
    Held::new(count, connect(&stranger, count).await)
}

pub async fn stalled_uploads(replica: &Replica, count: usize) -> Held {
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: {UPLOAD}\r\nAuthorization: Bearer mallory-token\r\n\r\n",
        service("deaf", "/")
    );
    let open = connect(&replica.mallory(), count).await;
    Held::new(count, write(open, &head))
}

/// The backend writes without end as well, and reads nothing.
pub async fn tunnels(replica: &Replica, count: usize) -> Held {
    tunnels_of(
        &replica.mallory(),
        "Authorization: Bearer mallory-token",
        count,
    )
    .await
}

/// The same through connections of kube-apiserver, of which there may be more than of strangers.
pub async fn tunnels_by_the_front_proxy(replica: &Replica, count: usize) -> Held {
    let client = replica.front_proxy(b"http/1.1").with_small_buffers();
    tunnels_of(&client, "X-Remote-User: mallory", count).await
}

async fn tunnels_of(client: &Client, who: &str, count: usize) -> Held {
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: a\r\n{who}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        service("hostile", "/tunnel")
    );
    let open = connect(client, count).await;
    Held::new(count, write(open, &head))
}

/// So many TLS connections, a few at a time.
pub async fn connect(client: &Client, count: usize) -> Vec<TlsStream<TcpStream>> {
    let mut open = Vec::new();
    while open.len() < count {
        let more = AT_ONCE.min(count - open.len());
        open.extend(join_all((0..more).map(|_| client.connect())).await);
    }
    open
}

/// Sends a head on each and goes on with its body for as long as anything is taken; reads nothing.
fn write(open: Vec<TlsStream<TcpStream>>, head: &str) -> JoinSet<()> {
    let mut writing = JoinSet::new();
    for mut stream in open {
        let head = head.to_owned();
        writing.spawn(async move {
            if stream.write_all(head.as_bytes()).await.is_err() {
                return;
            }
            for _ in 0..UPLOAD / PIECE.len() {
                if stream.write_all(&PIECE).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        });
    }
    writing
}

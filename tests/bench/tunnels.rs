//! What an idle WebSocket costs in memory.

use futures_util::future::join_all;
use throughway_testing::backend::Backend;
use throughway_testing::client::Client;
use throughway_testing::process;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::direct::ready;
use crate::peers::{self, Logs, PREFIX, TOKEN};
use crate::table::Table;

const TUNNELS: usize = 1000;

pub async fn measure(table: &mut Table) {
    let backend = Backend::http("web-0", "10.77.0.21:8080".parse().unwrap()).await;
    let cluster = peers::small_cluster("tunnels").await;
    cluster.pod("bench", "web-0", backend.address);
    cluster.service("bench", "web", 80, &[("web-0", backend.address)]);
    let proxy = peers::throughway(&cluster, "10.77.0.5:8443", Logs::Off).await;
    ready(&proxy).await;
    let client = Client::new(proxy.address(), None);
    let first = open(&client).await;
    let before = process::resident(proxy.pid);
    let mut open_now = vec![first];
    while open_now.len() < TUNNELS {
        open_now.extend(join_all((0..50).map(|_| open(&client))).await);
    }
    let each = (process::resident(proxy.pid) - before) / (open_now.len() - 1) as f64;
    table.plain(
        "resident memory an idle WebSocket, 1 000 of them",
        ("KiB", each / 1024.0),
        "60, aim 30",
    );
}

/// A WebSocket through the proxy; the backend's first message has arrived.
async fn open(client: &Client) -> TlsStream<TcpStream> {
    let mut stream = client.connect().await;
    let head = format!(
        "GET {PREFIX}/ws HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // What a TLS stream could not send at once stays with it until a flush.
    stream.flush().await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"/ws") {
        let read = stream.read_buf(&mut got).await;
        assert!(
            read.is_ok_and(|count| count > 0),
            "{}",
            String::from_utf8_lossy(&got)
        );
    }
    assert!(
        got.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&got)
    );
    stream
}

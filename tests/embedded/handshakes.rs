//! Callers that connect and do not shake hands, from many addresses of loopback.

use throughway_testing::client::{Client, ClientResponse, request};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::{LIMIT, Setting, service};

/// A connection from this address that sends the beginning of a TLS record and no more.
async fn stall(s: &Setting, host: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 77, host], 0).into()).unwrap();
    let mut stream = socket.connect(s.address).await.unwrap();
    stream.write_all(b"\x16\x03\x01").await.unwrap();
    stream
}

async fn in_time(asking: impl Future<Output = ClientResponse>) -> ClientResponse {
    let response = tokio::time::timeout(LIMIT, asking).await;
    response.expect("nobody is kept waiting")
}

/// Eight places for handshakes, of which an address has two.
async fn setting() -> Setting {
    Setting::with(|config| {
        config.listen.limits.max_connections = 64;
        // Longer than the test: nobody gets in because a stalled one was late.
        config.listen.limits.handshake_timeout = 2 * LIMIT;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_handshakes_from_many_addresses_keep_nobody_out() {
    let s = setting().await;
    let identity = s.cluster.front_proxy_ca.issue("front-proxy-client");
    let front_proxy = Client::presenting(s.address, identity, b"http/1.1");
    let path = service("web", "/");
    let mut stalled = Vec::new();
    for round in 0..3 {
        // More than there are connections, if stalled ones kept theirs.
        for host in 1..70 {
            stalled.push(stall(&s, host).await);
        }
        for _ in 0..4 {
            let response = in_time(s.get("alice", &path)).await;
            assert!(response.status.is_success(), "{round}: {}", response.text());
        }
        let of_alice = [("X-Remote-User", "alice")];
        let response = in_time(front_proxy.ask(request("GET", &path, &of_alice, ""))).await;
        assert!(response.status.is_success(), "{round}: {}", response.text());
    }
    drop(stalled);
    s.end().await;
}

/// kube-apiserver may come from an address that strangers have as well (a node's, a tunnel's agent).
#[tokio::test(flavor = "multi_thread")]
async fn who_shares_an_address_with_stalled_handshakes_gets_in() {
    let s = setting().await;
    let mut stalled = Vec::new();
    for _ in 0..70 {
        let mut stream = TcpStream::connect(s.address).await.unwrap();
        stream.write_all(b"\x16\x03\x01").await.unwrap();
        stalled.push(stream);
    }
    let path = service("web", "/");
    let response = in_time(s.get("alice", &path)).await;
    assert!(response.status.is_success(), "{}", response.text());
    drop(stalled);
    s.end().await;
}

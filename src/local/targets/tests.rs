//! Which proxy of the cluster is detected, as an API server on loopback shows it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use std::sync::Arc;
use std::time::Duration;

use super::built_in;
use super::detector::{MODE_TTL, ModeDetector};
use super::mode::ProxyMode;
use crate::lifecycle::Tasks;
use crate::local::api_server::ApiServer;
use crate::local::config::{ClusterOptions, Via};
use crate::local::upstream::Upstream;

/// Not the usual one.
const GROUP: &str = "proxy.example.org";

fn throughway() -> ProxyMode {
    ProxyMode::Throughway(Arc::from(GROUP))
}

async fn detector(listener: &TcpListener) -> ModeDetector {
    let options = ClusterOptions {
        server: Some(format!("http://{}", listener.local_addr().unwrap())),
        kubeconfig: Some("/dev/null".into()),
        ..ClusterOptions::default()
    };
    let tasks = Tasks::new();
    let api = ApiServer::load(&options).await.unwrap();
    ModeDetector::new(
        Upstream::new(api, Duration::ZERO, tasks.clone()),
        Via::Auto,
        Arc::from(GROUP),
        tasks,
    )
}

/// Takes one request.
async fn asked(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert!(stream.read_buf(&mut head).await.unwrap() > 0, "{head:?}");
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(
        head.starts_with(&format!("get /apis/{GROUP}/v1 ")),
        "{head}"
    );
    assert!(head.contains("\r\nuser-agent: throughway/"), "{head}");
}

async fn respond(stream: &mut TcpStream, code: &str) {
    let respond = format!("HTTP/1.1 {code}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(respond.as_bytes()).await.unwrap();
}

/// Detectors that have found Throughway, and the connection over which they did.
async fn known(listener: &TcpListener) -> (ModeDetector, TcpStream) {
    let detector = detector(listener).await;
    let (first, stream) = tokio::join!(detector.detect(), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        asked(&mut stream).await;
        respond(&mut stream, "200 OK").await;
        stream
    });
    assert_eq!(first.unwrap(), throughway());
    (detector, stream)
}

/// Moves the clock, which stands still only meanwhile: sockets need one that goes.
async fn outlive_the_mode() {
    tokio::time::pause();
    tokio::time::advance(MODE_TTL).await;
    tokio::time::resume();
}

#[tokio::test]
async fn nobody_waits_for_a_known_mode_to_be_looked_up_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (detector, mut stream) = known(&listener).await;
    outlive_the_mode().await;
    // The API server takes its time: whoever comes uses the mode that is known, and it is asked once.
    for _ in 0..2 {
        assert_eq!(detector.detect().await.unwrap(), throughway());
    }
    let mut mode = detector.subscribe();
    asked(&mut stream).await;
    respond(&mut stream, "404 Not Found").await;
    mode.changed().await.unwrap();
    assert_eq!(detector.detect().await.unwrap(), built_in::mode());
}

#[tokio::test]
async fn a_look_up_that_is_never_answered_does_not_keep_the_next_away() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (detector, mut silent) = known(&listener).await;
    let mut mode = detector.subscribe();
    outlive_the_mode().await;
    detector.detect().await.unwrap();
    asked(&mut silent).await;
    outlive_the_mode().await;
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0, "it is given up");
    detector.detect().await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    asked(&mut stream).await;
    respond(&mut stream, "404 Not Found").await;
    mode.changed().await.unwrap();
}

#[tokio::test]
async fn all_who_know_no_mode_wait_for_one_response() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let detector = detector(&listener).await;
    let (one, two, _stream) = tokio::join!(detector.detect(), detector.detect(), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        asked(&mut stream).await;
        respond(&mut stream, "404 Not Found").await;
        stream
    });
    assert_eq!(one.unwrap(), built_in::mode());
    assert_eq!(two.unwrap(), built_in::mode());
}

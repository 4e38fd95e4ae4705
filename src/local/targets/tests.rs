//! Which way there is, as an API server on loopback shows it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::local::api_server::ApiServer;
use crate::local::config::ClusterOptions;

async fn ways(listener: &TcpListener) -> Ways {
    let options = ClusterOptions {
        server: Some(format!("http://{}", listener.local_addr().unwrap())),
        kubeconfig: Some("/dev/null".into()),
        ..ClusterOptions::default()
    };
    let tasks = Tasks::new();
    let api = ApiServer::load(&options).await.unwrap();
    Ways::new(
        Upstream::new(api, Duration::ZERO, tasks.clone()),
        Via::Auto,
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
    assert!(head.starts_with("get /apis/throughway.dev/v1 "), "{head}");
    assert!(head.contains("\r\nuser-agent: throughway/"), "{head}");
}

async fn answer(stream: &mut TcpStream, code: &str) {
    let answer = format!("HTTP/1.1 {code}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// Ways that have found Throughway, and the connection over which they did.
async fn known(listener: &TcpListener) -> (Ways, TcpStream) {
    let ways = ways(listener).await;
    let (first, stream) = tokio::join!(ways.look(), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        asked(&mut stream).await;
        answer(&mut stream, "200 OK").await;
        stream
    });
    assert_eq!(first.unwrap(), ProxyMode::Throughway);
    (ways, stream)
}

/// Moves the clock, which stands still only meanwhile: sockets need one that goes.
async fn wait_out_what_is_known() {
    tokio::time::pause();
    tokio::time::advance(HOLDS_FOR).await;
    tokio::time::resume();
}

#[tokio::test]
async fn nobody_waits_for_a_way_that_is_known_to_be_looked_up_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ways, mut stream) = known(&listener).await;
    wait_out_what_is_known().await;
    // The API server takes its time: whoever comes goes by the way that is known, and it is asked once.
    for _ in 0..2 {
        assert_eq!(ways.look().await.unwrap(), ProxyMode::Throughway);
    }
    let mut fact = ways.fact();
    asked(&mut stream).await;
    answer(&mut stream, "404 Not Found").await;
    fact.changed().await.unwrap();
    assert_eq!(ways.look().await.unwrap(), built_in::fact());
}

#[tokio::test]
async fn a_second_look_that_is_never_answered_does_not_keep_the_third_away() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ways, mut silent) = known(&listener).await;
    let mut fact = ways.fact();
    wait_out_what_is_known().await;
    ways.look().await.unwrap();
    asked(&mut silent).await;
    wait_out_what_is_known().await;
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0, "it is given up");
    ways.look().await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    asked(&mut stream).await;
    answer(&mut stream, "404 Not Found").await;
    fact.changed().await.unwrap();
}

#[tokio::test]
async fn all_who_know_nothing_wait_for_one_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ways = ways(&listener).await;
    let (one, two, _stream) = tokio::join!(ways.look(), ways.look(), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        asked(&mut stream).await;
        answer(&mut stream, "404 Not Found").await;
        stream
    });
    assert_eq!(one.unwrap(), built_in::fact());
    assert_eq!(two.unwrap(), built_in::fact());
}

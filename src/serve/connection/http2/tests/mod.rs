//! What callers do to an HTTP/2 connection: single bytes, broken bodies, pings without a response.

use std::time::Duration;

use axum::body::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, duplex, split};
use tokio::task::JoinSet;

use super::*;

mod limits;
mod together;
mod untaken;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const WINDOW_UPDATE: u8 = 0x8;
const INITIAL_WINDOW_SIZE: u16 = 4;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// `:method`, `:scheme`, `:path` and `:authority` by HPACK's static table.
const GET: &[u8] = b"\x82\x87\x84\x41\x01a";
const POST_HELD: &[u8] = b"\x83\x87\x04\x05/held\x41\x01a";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4711);

/// Keeps the bodies of `/held` and reads nothing of them.
async fn respond(request: Request) -> Response {
    if request.uri().path() == "/held" {
        std::future::pending::<()>().await;
    }
    Response::new(Body::empty())
}

/// A server at the other end of a pipe, as the front proxy meets it.
fn serve(tasks: &mut JoinSet<Result<(), ConnectionError>>) -> DuplexStream {
    serve_as(PeerClass::FrontProxy, tasks)
}

fn serve_as(class: PeerClass, tasks: &mut JoinSet<Result<(), ConnectionError>>) -> DuplexStream {
    let (client, server) = duplex(1 << 16);
    let limits = ConnectionLimits::kubernetes();
    let settings = settings(class, &limits, limits.max_header_bytes);
    let turn = Turn::default();
    tasks.spawn(Connection::new(
        server,
        turn,
        &settings,
        PEER,
        &limits,
        || respond,
    ));
    client
}

/// The first frame of one of these kinds on a stream.
async fn response_on(from: &mut ReadHalf<DuplexStream>, stream: u32) -> Option<(u8, Vec<u8>)> {
    loop {
        let mut head = [0; 9];
        from.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        from.read_exact(&mut payload).await.ok()?;
        if head[5..] == stream.to_be_bytes() && matches!(head[3], HEADERS | RST_STREAM) {
            return Some((head[3], payload));
        }
    }
}

fn preface() -> Vec<u8> {
    let settings = frame(SETTINGS, 0, 0, b"");
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat()
}

/// h2 by itself ends the connection at some 65 000 of these.
#[tokio::test]
async fn full_windows_of_single_bytes_that_nobody_reads_end_no_connection() {
    let mut tasks = JoinSet::new();
    let (mut from, mut to) = split(serve(&mut tasks));
    let mut flood = preface();
    for stream in [1, 3, 5, 7, 9, 11] {
        flood.extend(frame(HEADERS, END_HEADERS, stream, POST_HELD));
        flood.extend(frame(DATA, 0, stream, b"x").repeat(STREAM_WINDOW as usize));
    }
    flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, 13, GET));
    let writing = async move {
        to.write_all(&flood).await.unwrap();
        to
    };
    let (answered, _open) = tokio::join!(response_on(&mut from, 13), writing);
    let (kind, _) = answered.expect("the connection has ended");
    assert_eq!(kind, HEADERS);
}

/// The response is at hand before the body is: it waits for what is wrong with it.
#[tokio::test(start_paused = true)]
async fn a_request_whose_body_breaks_the_protocol_is_reset_and_gets_no_response() {
    let mut tasks = JoinSet::new();
    let (mut from, mut to) = split(serve(&mut tasks));
    to.write_all(&preface()).await.unwrap();
    to.write_all(&frame(HEADERS, END_HEADERS, 1, GET))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    // A second block of headers has to be the last of its stream (RFC 9113 section 8.1).
    to.write_all(&frame(HEADERS, END_HEADERS, 1, b"\x00\x01x\x01y"))
        .await
        .unwrap();
    let (kind, reason) = response_on(&mut from, 1).await.unwrap();
    assert_eq!((kind, &*reason), (RST_STREAM, &1u32.to_be_bytes()[..]));
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_body_does_not_come_gets_its_response_all_the_same() {
    let mut tasks = JoinSet::new();
    let (mut from, mut to) = split(serve(&mut tasks));
    to.write_all(&preface()).await.unwrap();
    to.write_all(&frame(HEADERS, END_HEADERS, 1, GET))
        .await
        .unwrap();
    let (kind, _) = response_on(&mut from, 1).await.unwrap();
    assert_eq!(kind, HEADERS);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_acknowledges_no_ping_is_let_go() {
    let mut tasks = JoinSet::new();
    let mut client = serve(&mut tasks);
    client.write_all(&preface()).await.unwrap();
    let ended = tasks.join_next().await.unwrap().unwrap();
    assert!(
        matches!(ended, Err(ConnectionError::PingTimeout)),
        "{ended:?}"
    );
}

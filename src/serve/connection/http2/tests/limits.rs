//! What a connection may take of this server: what its caller is told, and what is held for a caller who does not care.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body::Frame;

use super::*;

const MAX_CONCURRENT_STREAMS: u16 = 3;
const MAX_HEADER_LIST_SIZE: u16 = 6;

/// The next frame: its kind, its stream, its payload.
async fn next_frame(from: &mut (impl AsyncRead + Unpin)) -> (u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    from.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    from.read_exact(&mut payload).await.unwrap();
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    (head[3], stream, payload)
}

/// The settings that a caller is told, and by how much the connection's window grows.
async fn announced(class: PeerClass) -> (BTreeMap<u16, u32>, u32) {
    let mut tasks = JoinSet::new();
    let mut client = serve_as(class, &mut tasks);
    client.write_all(&preface()).await.unwrap();
    let (mut settings, mut window) = (None, None);
    loop {
        let (kind, stream, payload) = next_frame(&mut client).await;
        match (kind, stream) {
            (SETTINGS, 0) if !payload.is_empty() => {
                let said = payload.chunks(6).map(|said| {
                    let value = u32::from_be_bytes(said[2..].try_into().unwrap());
                    (u16::from_be_bytes([said[0], said[1]]), value)
                });
                settings = Some(said.collect());
            }
            (WINDOW_UPDATE, 0) => {
                window = Some(u32::from_be_bytes(payload[..].try_into().unwrap()));
            }
            _ => {}
        }
        if let (Some(settings), Some(window)) = (&settings, window) {
            return (BTreeMap::clone(settings), window);
        }
    }
}

/// Go's client refuses a header list above the size by itself, so that none of it ends the connection of all. The
/// connection's window is that of all streams.
#[tokio::test]
async fn the_front_proxy_and_a_stranger_are_told_their_limits() {
    for (class, streams) in [(PeerClass::FrontProxy, 1000), (PeerClass::Stranger, 100)] {
        let (settings, window) = announced(class).await;
        let expected = [
            (MAX_CONCURRENT_STREAMS, streams),
            (INITIAL_WINDOW_SIZE, 32 << 10),
            (MAX_HEADER_LIST_SIZE, 65_535),
        ];
        assert_eq!(settings, BTreeMap::from(expected), "{class:?}");
        assert_eq!(window, streams * (32 << 10) - 65_535, "{class:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_nobody_reads_gets_one_window_and_no_more() {
    let mut tasks = JoinSet::new();
    let (mut from, mut to) = split(serve(&mut tasks));
    to.write_all(&preface()).await.unwrap();
    to.write_all(&frame(HEADERS, END_HEADERS, 1, POST_HELD))
        .await
        .unwrap();
    let piece = vec![b'x'; 8 << 10];
    for _ in 0..STREAM_WINDOW as usize / piece.len() {
        to.write_all(&frame(DATA, 0, 1, &piece)).await.unwrap();
    }
    // The server has nothing to do any more when this is over.
    tokio::time::sleep(Duration::from_secs(1)).await;
    to.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 3, GET))
        .await
        .unwrap();
    loop {
        let (kind, stream, _) = next_frame(&mut from).await;
        assert_ne!((kind, stream), (WINDOW_UPDATE, 1), "there is room for more");
        if (kind, stream) == (HEADERS, 3) {
            return;
        }
    }
}

/// A body without end, of which it is counted how much was taken.
struct Endless(Arc<AtomicUsize>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const PIECE: &[u8] = &[b'x'; 16 << 10];
        self.0.fetch_add(PIECE.len(), Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(PIECE)))))
    }
}

/// Whatever windows a caller offers: what the pipe does not take is held, and that is little.
#[tokio::test(start_paused = true)]
async fn little_is_held_of_a_response_whose_connection_is_not_read() {
    const PIPE: usize = 64 << 10;
    let taken = Arc::new(AtomicUsize::new(0));
    let (mut client, server) = duplex(PIPE);
    let limits = ConnectionLimits::kubernetes();
    let settings = settings(PeerClass::FrontProxy, &limits, limits.max_header_bytes);
    let of_body = Arc::clone(&taken);
    let service = move || {
        let body = Body::new(Endless(Arc::clone(&of_body)));
        move |_| std::future::ready(Response::new(body))
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(Connection::new(
        server,
        Turn::default(),
        &settings,
        PEER,
        &limits,
        service,
    ));
    let huge: u32 = 64 << 20;
    let window = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &huge.to_be_bytes()].concat();
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let opening = [
        frame(SETTINGS, 0, 0, &window),
        frame(WINDOW_UPDATE, 0, 0, &huge.to_be_bytes()),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, GET),
    ];
    client.write_all(&opening.concat()).await.unwrap();
    // The server has nothing to do any more when this is over.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken > PIPE, "{taken}");
    // One piece waits for the window, and one is in the frame that is being written.
    let most = PIPE + MAX_SEND_BUFFER + 2 * (16 << 10);
    assert!(taken <= most, "{taken} of {most}");
}

/// A request with a header of HTTP/1 connections, which is malformed.
const MALFORMED: &[u8] = b"\x82\x87\x84\x41\x01a\x00\x0aconnection\x05close";

/// A thousand and more of them are forgiven on a connection that many share, and nowhere else.
#[tokio::test]
async fn malformed_requests_end_a_strangers_connection_in_the_end() {
    for (class, goes_on) in [(PeerClass::FrontProxy, true), (PeerClass::Stranger, false)] {
        let mut tasks = JoinSet::new();
        let (mut from, mut to) = split(serve_as(class, &mut tasks));
        to.write_all(&preface()).await.unwrap();
        let writing = async {
            for at in 0..1100 {
                let malformed = frame(HEADERS, END_HEADERS | END_STREAM, 2 * at + 1, MALFORMED);
                // It fails where the connection is closed already.
                let _ = to.write_all(&malformed).await;
            }
            let last = frame(HEADERS, END_HEADERS | END_STREAM, 2201, GET);
            let _ = to.write_all(&last).await;
        };
        let (answered, ()) = tokio::join!(response_on(&mut from, 2201), writing);
        let kind = answered.map(|(kind, _)| kind);
        assert_eq!(kind, goes_on.then_some(HEADERS), "{class:?}");
    }
}

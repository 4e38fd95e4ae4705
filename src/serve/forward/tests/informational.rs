//! Informational responses (RFC 9110 section 15.2): a backend may send some before its response, and harms nobody with
//! many.

use std::process::Command;

use tokio_rustls::TlsAcceptor;

use super::*;
use crate::serve::certificates::{Serving, server_config};
use crate::serve::config::Http2Serving;

const EARLY_HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";

/// Says that the test runs in a process of its own, where nothing else takes memory.
const ALONE: &str = "THROUGHWAY_TEST_ALONE";

async fn ask(s: &mut Setting, scheme: Scheme, address: SocketAddr) -> DuplexStream {
    let mut caller = s.caller(scheme, &[address]);
    let request = get("/", "Connection: close\r\n");
    caller.write_all(request.as_bytes()).await.unwrap();
    caller
}

#[tokio::test]
async fn the_response_behind_some_informational_heads_is_the_response() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = ask(&mut s, Scheme::Http, backend.address).await;
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    let begun = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    stream.write_all(begun).await.unwrap();
    stream.write_all(&EARLY_HINTS.repeat(100)).await.unwrap();
    stream.write_all(OK).await.unwrap();
    drop(stream);
    let received = rest(&mut caller).await;
    assert!(received.starts_with("HTTP/1.1 200 OK\r\n"), "{received}");
    assert!(received.ends_with("\r\n\r\nok"), "{received}");
    s.end().await;
}

#[tokio::test]
async fn a_flood_of_informational_heads_is_502_and_another_exchange_goes_on() {
    let (mut s, calm, flooding) = (
        Setting::new().await,
        Backend::new().await,
        Backend::new().await,
    );
    let mut bystander = ask(&mut s, Scheme::Http, calm.address).await;
    let mut open = calm.accept().await;
    head(&mut open).await;
    let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\none\n";
    open.write_all(begun).await.unwrap();
    head(&mut bystander).await;
    exactly(&mut bystander, "one\n").await;

    let mut caller = ask(&mut s, Scheme::Http, flooding.address).await;
    let mut stream = flooding.accept().await;
    head(&mut stream).await;
    let flood = async {
        // It ends when nobody takes it any more.
        let many = EARLY_HINTS.repeat(1000);
        while stream.write_all(&many).await.is_ok() {}
    };
    let (received, ()) = tokio::join!(rest(&mut caller), flood);
    assert!(received.starts_with("HTTP/1.1 502"), "{received}");
    assert!(received.contains("before its response"), "{received}");

    open.write_all(b"two\n").await.unwrap();
    exactly(&mut bystander, "two\n").await;
    drop((bystander, open));
    s.end().await;
}

#[tokio::test]
async fn a_tunnel_is_no_response_to_a_flood_of_informational_heads() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Http, &[backend.address]);
    let asked = get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    caller.write_all(asked.as_bytes()).await.unwrap();
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    let flood = async {
        let many = EARLY_HINTS.repeat(1000);
        while stream.write_all(&many).await.is_ok() {}
    };
    let (received, ()) = tokio::join!(head(&mut caller), flood);
    assert!(received.starts_with("HTTP/1.1 502"), "{received}");
    drop(caller);
    s.end().await;
}

#[tokio::test(start_paused = true)]
async fn informational_heads_do_not_put_off_the_time_for_a_response() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = ask(&mut s, Scheme::Http, backend.address).await;
    let mut stream = backend.accept().await;
    head(&mut stream).await;
    let started = tokio::time::Instant::now();
    let dripping = async {
        while stream.write_all(EARLY_HINTS).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(7)).await;
        }
    };
    let received = tokio::select! {
        received = rest(&mut caller) => received,
        () = dripping => unreachable!("the caller is answered first"),
    };
    assert!(received.starts_with("HTTP/1.1 504"), "{received}");
    assert!(
        started.elapsed() < config().response_header_timeout * 2,
        "{:?}",
        started.elapsed()
    );
    s.end().await;
}

/// Frames of HTTP/2 (RFC 9113 section 4.1) as a hostile backend writes them.
mod frames {
    pub(super) const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    pub(super) const SETTINGS_ACK: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";
    /// `:status: 103` on stream 1, put into HPACK's dynamic table.
    pub(super) const FIRST_103: &[u8] = b"\0\0\x05\x01\x04\0\0\0\x01\x48\x03103";
    /// The same, from the table: ten bytes.
    pub(super) const NEXT_103: &[u8] = b"\0\0\x01\x01\x04\0\0\0\x01\xbe";
    pub(super) const PING: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0pingpong";
    /// `:status: 200`, the end of stream 1.
    pub(super) const OK: &[u8] = b"\0\0\x01\x01\x05\0\0\0\x01\x88";
}

/// Reads up to a request's HEADERS: before them, a frame for its stream would be an error.
async fn until_headers(stream: &mut (impl AsyncRead + Unpin)) {
    const PREFACE_BYTES: usize = 24;
    const HEADERS: u8 = 1;
    stream.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
    let mut frame = [0; 9];
    while frame[3] != HEADERS {
        stream.read_exact(&mut frame).await.unwrap();
        let length = usize::from(frame[1]) << 8 | usize::from(frame[2]);
        stream.read_exact(&mut vec![0; length]).await.unwrap();
    }
}

/// A connection over TLS whose backend speaks HTTP/2 as far as `begun` goes and then repeats a frame until nobody takes
/// it any more. `look` is called before each write.
async fn flood(backend: &Backend, begun: &[u8], frame: &[u8], mut look: impl FnMut()) {
    let config = server_config(Serving::self_signed().unwrap(), Http2Serving::Enabled);
    let accepted = TlsAcceptor::from(config).accept(backend.accept().await);
    let (mut read, mut write) = tokio::io::split(accepted.await.unwrap());
    write.write_all(frames::SETTINGS).await.unwrap();
    until_headers(&mut read).await;
    write.write_all(frames::SETTINGS_ACK).await.unwrap();
    let ignored = async {
        let mut ignored = vec![0; 16 << 10];
        while read.read(&mut ignored).await.is_ok_and(|bytes| bytes > 0) {}
    };
    let flooding = async {
        write.write_all(begun).await?;
        let many = frame.repeat((64 << 10) / frame.len());
        loop {
            look();
            write.write_all(&many).await?;
            write.flush().await?;
        }
    };
    tokio::select! {
        () = ignored => {}
        broken = flooding => {
            let _: std::io::Result<()> = broken;
        }
    }
}

/// Bytes of this process that are in memory and stand in no file.
fn resident() -> usize {
    let status = std::io::read_to_string(std::fs::File::open("/proc/self/status").unwrap());
    let status = status.unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = line.unwrap().split_ascii_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

/// What an endless flood takes of memory until its connection ends.
async fn held_by_a_flood() -> usize {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = ask(&mut s, Scheme::Https, backend.address).await;
    let (before, mut most) = (resident(), 0);
    let look = || most = most.max(resident().saturating_sub(before));
    let (received, ()) = tokio::join!(
        rest(&mut caller),
        flood(&backend, frames::FIRST_103, frames::NEXT_103, look)
    );
    assert!(received.starts_with("HTTP/1.1 502"), "{received}");
    assert!(received.contains("before its response"), "{received}");
    s.end().await;
    most
}

#[tokio::test]
async fn endless_informational_heads_of_http2_are_502_and_take_no_memory() {
    if std::env::var(ALONE).is_ok() {
        println!("held {}", held_by_a_flood().await);
        return;
    }
    let module = module_path!().trim_start_matches("throughway::");
    let name = format!("{module}::endless_informational_heads_of_http2_are_502_and_take_no_memory");
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", &name, "--nocapture", "--test-threads=1"]);
    let output = process.env(ALONE, "1").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let held = text.split("held ").nth(1).expect(&text);
    let held = held.split_ascii_whitespace().next().unwrap();
    let held: usize = held.parse().unwrap();
    eprintln!("a flood of informational heads held {held} bytes");
    assert!(held <= 8 << 20, "{held}");
}

#[tokio::test]
async fn an_http2_connection_on_which_nobody_asks_anything_takes_no_flood() {
    for frame in [frames::PING, frames::NEXT_103, frames::SETTINGS] {
        let (mut s, backend) = (Setting::new().await, Backend::new().await);
        let mut caller = ask(&mut s, Scheme::Https, backend.address).await;
        let begun = [frames::FIRST_103, frames::OK].concat();
        let flooding = flood(&backend, &begun, frame, || {});
        let limited = tokio::time::timeout(Duration::from_secs(60), flooding);
        let (received, ended) = tokio::join!(rest(&mut caller), limited);
        assert!(received.starts_with("HTTP/1.1 200"), "{received}");
        assert!(ended.is_ok(), "{frame:?} is taken without end");
        s.end().await;
    }
}

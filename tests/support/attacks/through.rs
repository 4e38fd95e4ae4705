//! What one user sends through kube-apiserver, whose one connection carries everybody's requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::scene::{GROUP, RESPONSE_TIMEOUT, in_time, service};
use crate::client::{Client, request};

/// More than all buffers on the way to a backend hold.
const UPLOAD: usize = 64 << 20;

/// One more than a header's name may have in many libraries.
const LONG_NAME: usize = 1 << 16;

/// Longer than any path that HTTP/2 carries here.
const LONG_PATH: usize = 70_000;

/// Requests that end at once.
const CANCELLED: usize = 200;

/// Nothing moves any more when nothing has moved for so long.
const STILL: Duration = Duration::from_millis(500);

const POSTS: usize = 15;

/// Bytes that a caller's kernel takes of an upload.
const CALLER_BUFFER: usize = 64 << 10;

/// The attacks that could break off what others have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    LongNames,
    LongPaths,
    Cancelled,
    SingleBytes,
    Flood,
}

impl Sent {
    pub const ALL: [Self; 5] = [
        Self::LongNames,
        Self::LongPaths,
        Self::Cancelled,
        Self::SingleBytes,
        Self::Flood,
    ];

    pub async fn run(self, attacker: &Client) {
        match self {
            Self::LongNames => long_names(attacker).await,
            Self::LongPaths => long_paths(attacker).await,
            Self::Cancelled => cancel(attacker).await,
            Self::SingleBytes => single_bytes(attacker).await,
            Self::Flood => flood(attacker).await,
        }
    }
}

/// A response that goes on until it is told to stop: a numbered line each 100 ms.
#[derive(Debug)]
pub struct Ticking {
    body: Incoming,
    said: Vec<u8>,
}

impl Ticking {
    pub async fn begin(client: &Client) -> Self {
        let open = client.send(request("GET", &service("calm", "/ticks"), &[], ""));
        Self {
            body: in_time("the first tick", open).await.into_body(),
            said: Vec::new(),
        }
    }

    /// Reads to the stream's end, which is told to come as soon as `enough` is done and `lines` have come; says how
    /// many came.
    ///
    /// # Errors
    /// The stream broke off, or a line is missing.
    pub async fn read(
        mut self,
        client: &Client,
        lines: usize,
        enough: impl Future<Output = ()>,
    ) -> Result<usize, String> {
        let mut enough = std::pin::pin!(enough);
        let (mut is_enough, mut is_stopped) = (false, false);
        loop {
            if is_enough && !is_stopped && self.lines() >= lines {
                let path = service("calm", "/ticks/stop");
                in_time("ticks/stop", client.get(&path)).await;
                is_stopped = true;
            }
            let frame = tokio::select! {
                () = &mut enough, if !is_enough => {
                    is_enough = true;
                    continue;
                }
                frame = self.body.frame() => frame,
            };
            match frame {
                Some(Ok(frame)) => self.said.extend(frame.into_data().unwrap_or_default()),
                Some(Err(broken)) => {
                    return Err(format!("after {} lines: {broken}", self.lines()));
                }
                None => return self.whole(),
            }
        }
    }

    fn lines(&self) -> usize {
        self.said.iter().filter(|byte| **byte == b'\n').count()
    }

    fn whole(self) -> Result<usize, String> {
        let lines = self.lines() - 1;
        let expected: String = (0..lines).map(|line| format!("{line}\n")).collect();
        match self.said == (expected + "end\n").as_bytes() {
            true => Ok(lines),
            false => Err(format!("it ended after {lines} lines without its end")),
        }
    }
}

/// The median time of some POSTs to the calm pod; one that is not answered in time is the last.
pub async fn median_post(client: &Client) -> Duration {
    let path = service("calm", "/echo");
    let mut took = Vec::new();
    for _ in 0..POSTS {
        let started = Instant::now();
        let asked = client.ask(request("POST", &path, &[], "ten bytes."));
        let Ok(response) = tokio::time::timeout(RESPONSE_TIMEOUT, asked).await else {
            return started.elapsed();
        };
        assert_eq!(response.json()["length"], 10, "{}", response.text());
        took.push(started.elapsed());
    }
    took.sort();
    took[POSTS / 2]
}

/// Begins uploads to a pod that never reads, and waits until none of them moves; they end when this is dropped.
pub async fn stall(client: &Client, uploads: usize) -> JoinSet<()> {
    let sent = Arc::new(AtomicUsize::new(0));
    let mut stalled = JoinSet::new();
    for _ in 0..uploads {
        let (path, length) = (service("deaf", "/"), UPLOAD);
        let mut stream = begin(client, "POST", &path, "Content-Length", length).await;
        // In a cluster the caller's memory is not that of the server, nor is its kernel.
        let socket = SockRef::from(stream.get_ref().0);
        socket.set_send_buffer_size(CALLER_BUFFER).unwrap();
        let sent = Arc::clone(&sent);
        stalled.spawn(async move {
            let piece = vec![0; 1 << 14];
            for _ in 0..UPLOAD / piece.len() {
                if stream.write_all(&piece).await.is_err() {
                    return;
                }
                sent.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let still = async {
        let mut last = 0;
        loop {
            tokio::time::sleep(STILL).await;
            match sent.load(Ordering::SeqCst) {
                now if now == last && now > 0 => return,
                now => last = now,
            }
        }
    };
    in_time("uploads that stall", still).await;
    stalled
}

/// A connection of its own on which a request's head has been sent.
async fn begin(
    client: &Client,
    method: &str,
    path: &str,
    name: &str,
    value: impl std::fmt::Display,
) -> TlsStream<TcpStream> {
    let mut stream = client.connect().await;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: api\r\n{name}: {value}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// To the discovery document, which every authenticated user may read.
async fn long_names(client: &Client) {
    for _ in 0..5 {
        answered(client, GROUP, &"a".repeat(LONG_NAME)).await;
    }
}

/// More of them than a connection forgives over its life, if it counts them.
async fn long_paths(client: &Client) {
    let path = service("calm", &format!("/{}", "a".repeat(LONG_PATH)));
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let (client, path) = (client.clone(), path.clone());
        asking.spawn(async move {
            for _ in 0..140 {
                answered(&client, &path, "Accept").await;
            }
        });
    }
    asking.join_all().await;
}

/// Whatever the response is, it has come back from where the request went.
async fn answered(client: &Client, path: &str, name: &str) {
    let mut stream = begin(client, "GET", path, name, "x").await;
    let mut response = [0; 8];
    let answered = stream.read_exact(&mut response);
    in_time("a long head", answered).await.unwrap();
    assert_eq!(&response, b"HTTP/1.1");
}

async fn cancel(client: &Client) {
    for _ in 0..3 {
        let mut open = Vec::new();
        for _ in 0..CANCELLED {
            open.push(client.connect().await);
        }
        let head = format!("GET {} HTTP/1.1\r\nHost: api\r\n\r\n", service("deaf", "/"));
        for stream in &mut open {
            stream.write_all(head.as_bytes()).await.unwrap();
        }
        drop(open);
    }
}

/// Each byte is a chunk, so that each becomes a DATA frame; what went before has filled the way to the backend.
async fn single_bytes(client: &Client) {
    let path = service("deaf", "/");
    let mut stream = begin(client, "POST", &path, "Transfer-Encoding", "chunked").await;
    let sending = async {
        for _ in 0..5_000 {
            if stream.write_all(b"1\r\na\r\n").await.is_err() || stream.flush().await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    // A full way is as good as an end.
    let _ = tokio::time::timeout(Duration::from_secs(5), sending).await;
}

async fn flood(client: &Client) {
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let client = client.clone();
        asking.spawn(async move {
            for _ in 0..10 {
                client
                    .try_ask(request("GET", &service("calm", "/bytes/100000"), &[], ""))
                    .await;
            }
        });
    }
    in_time("a flood", asking.join_all()).await;
}

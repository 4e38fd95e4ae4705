//! One user's requests, through the connection that carries everybody's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::{in_time, post, service, strangers};
use crate::cluster::{Cluster, alone_on_cluster};
use crate::road::GROUP;
use crate::support::client::{Client, request};

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

/// What a busy machine adds to a median of a few milliseconds.
const NOISE: Duration = Duration::from_millis(20);

const POSTS: usize = 15;

#[test]
fn uploads_to_a_pod_that_never_reads_hold_up_nobody_elses() {
    alone_on_cluster(async |cluster: &Cluster| {
        let bystander = &strangers(cluster).await.bystander;
        let before = median(bystander).await;
        for uploads in [1, 100] {
            let stalled = stall(&cluster.admin(), uploads).await;
            let now = median(bystander).await;
            assert!(
                now <= before * 2 + NOISE,
                "{before:?} became {now:?} beside {uploads} stalled uploads"
            );
            drop(stalled);
        }
    });
}

#[test]
fn nothing_that_one_user_sends_breaks_off_anothers_stream() {
    alone_on_cluster(async |cluster: &Cluster| {
        let bystander = &strangers(cluster).await.bystander;
        let attacker = cluster.admin();
        survives(
            "a header with a long name",
            bystander,
            long_names(&attacker),
        )
        .await;
        survives("long paths", bystander, long_paths(&attacker)).await;
        survives("requests that end at once", bystander, cancel(&attacker)).await;
        survives("a body in single bytes", bystander, single_bytes(&attacker)).await;
        survives("a flood", bystander, flood(&attacker)).await;
    });
}

/// A stream that is open before an attack and has its second half to come goes on to its end.
async fn survives(attack: &str, bystander: &Client, attacking: impl Future<Output = ()>) {
    let open = bystander.send(request("GET", &service("calm", "/drip"), &[], ""));
    let mut stream = in_time(attack, open).await.into_body();
    let first = in_time(attack, stream.frame()).await.unwrap();
    assert_eq!(first.unwrap().into_data().unwrap(), "one\n", "{attack}");
    attacking.await;
    let next = bystander.try_ask(request("GET", &service("calm", "/drip/next"), &[], ""));
    let next = in_time(attack, next).await;
    assert!(next.is_some_and(|next| next.status == 200), "{attack}");
    let rest = in_time(attack, stream.collect()).await;
    let rest = rest.unwrap_or_else(|broken| panic!("{attack}: the stream broke off: {broken}"));
    assert_eq!(rest.to_bytes(), "two\n", "{attack}");
}

async fn median(client: &Client) -> Duration {
    let mut took = Vec::new();
    for _ in 0..POSTS {
        let started = Instant::now();
        let answer = post(client, &service("calm", "/echo")).await;
        assert_eq!(answer.json()["length"], 10);
        took.push(started.elapsed());
    }
    took.sort();
    took[POSTS / 2]
}

/// Begins uploads and waits until none of them moves; they end when this is dropped.
async fn stall(client: &Client, uploads: usize) -> JoinSet<()> {
    let sent = Arc::new(AtomicUsize::new(0));
    let mut stalled = JoinSet::new();
    for _ in 0..uploads {
        let mut stream = begin(
            client,
            "POST",
            &service("deaf", "/"),
            "Content-Length",
            UPLOAD,
        )
        .await;
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

/// Whatever the answer is, it has come back from where the request went.
async fn answered(client: &Client, path: &str, name: &str) {
    let mut stream = begin(client, "GET", path, name, "x").await;
    let mut answer = [0; 8];
    let answered = stream.read_exact(&mut answer);
    in_time("a long head", answered).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1");
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

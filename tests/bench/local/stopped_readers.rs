//! Readers that stop in the middle of a download, as a tab does that sleeps, and what a small request of somebody else
//! takes beside them.

use std::time::Instant;

use futures_util::future::join_all;
use throughway_testing::process::median;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::companion::{Companion, ask};
use super::{Both, SMALL};
use crate::table::Table;

/// Requests of a median.
const REQUESTS: usize = 200;

/// So much is read of a download before its reader stops.
const READ: usize = 64 << 10;

pub async fn measure(table: &mut Table, both: &Both) {
    let [ours, other] = both;
    for readers in [1, 12, 50] {
        let without = median_request(ours).await;
        let (with, of_kubectl) = (beside(ours, readers).await, beside(other, readers).await);
        table.ratio(
            &format!("median of a small request beside {readers} stopped downloads"),
            ("ms", with),
            ("without them: ms", without),
            "2",
        );
        table.ratio(
            &format!("median of a small request beside {readers} stopped downloads"),
            ("ms", with),
            ("kubectl proxy: ms", of_kubectl),
            "",
        );
    }
}

async fn beside(companion: &Companion, readers: usize) -> f64 {
    let _stopped = join_all((0..readers).map(|_| begin(companion))).await;
    median_request(companion).await
}

/// A download whose reader has stopped.
async fn begin(companion: &Companion) -> TcpStream {
    let mut stream = TcpStream::connect(companion.address).await.unwrap();
    let head = format!("GET /big HTTP/1.1\r\nHost: {}\r\n\r\n", companion.address);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut read = vec![0; READ];
    stream.read_exact(&mut read).await.unwrap();
    assert!(read.starts_with(b"HTTP/1.1 200"));
    stream
}

/// In milliseconds, each over a connection of its own.
async fn median_request(companion: &Companion) -> f64 {
    let host = companion.address.to_string();
    let mut took = Vec::new();
    for _ in 0..REQUESTS {
        let begun = Instant::now();
        let response = ask(companion.address, &host, SMALL).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    median(took)
}

//! Callers and what they do not take, over real sockets.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::faults::websocket;
use crate::{LIMIT, Setting, service};

/// More than all sockets on the way hold.
const LARGE: usize = 64 << 20;

/// The kernel measures the time, so this one is not on a stopped clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_over_http_1_that_reads_nothing_is_let_go_and_named() {
    let s = Setting::with(|config| {
        config.listen.limits.exchange_idle_timeout = Duration::from_millis(300);
    })
    .await;
    let mut unread = s.client("").connect().await;
    let path = service("web", &format!("/bytes/{LARGE}"));
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer alice-token\r\n\r\n");
    unread.write_all(request.as_bytes()).await.unwrap();
    let counted = r#"throughway_refusals_total{reason="response_not_taken"} 1"#;
    s.until("it is counted", async |s| {
        s.get("root", "/metrics").await.text().contains(counted)
    })
    .await;
    drop(unread);
    s.end().await;
}

/// What passes a stranger's tunnel is no head of a request, of which there may be 32 MiB.
#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_tunnel_carries_more_than_all_heads_may_have() {
    let s = Setting::new().await;
    let mut socket = websocket(&s).await;
    let piece = vec![b'x'; 1 << 20];
    let echoed = async {
        for _ in 0..40 {
            socket.send(Message::binary(piece.clone())).await.unwrap();
            let echo = socket.next().await.unwrap().unwrap();
            assert_eq!(echo.len(), piece.len());
        }
    };
    tokio::time::timeout(LIMIT, echoed).await.unwrap();
    drop(socket);
    s.end().await;
}

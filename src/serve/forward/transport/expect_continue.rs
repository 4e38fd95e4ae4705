//! `Expect: 100-continue`: the body waits until the backend asks for it.
//!
//! The caller's own 100 is sent when its body is first read, so a caller whose request the backend refuses is told so
//! before it sends a byte. A backend that knows nothing of this gets the body after a second (RFC 9110 section 10.1.1).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use tokio::sync::oneshot;
use tokio::time::Sleep;

/// How long a backend is given to say that it wants the body.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Holds a body back.
#[derive(Debug)]
pub(in crate::serve::forward) struct ContinueGate {
    /// `None` once the backend has answered without asking: then only the timeout opens the gate.
    wanted: Option<oneshot::Receiver<()>>,
    timeout: Pin<Box<Sleep>>,
}

impl ContinueGate {
    pub(in crate::serve::forward) fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(wanted) = &mut self.wanted {
            match Pin::new(wanted).poll(context) {
                // Told to go on: the timeout does not matter any more.
                Poll::Ready(Ok(())) => return Poll::Ready(()),
                // The sender went with the exchange, so the backend has answered without asking. Only the timeout opens
                // the gate now.
                Poll::Ready(Err(_)) => self.wanted = None,
                Poll::Pending => {}
            }
        }
        self.timeout.as_mut().poll(context)
    }
}

/// A gate for a request that expects to be asked for its body.
pub(in crate::serve::forward) fn gate<B>(request: &mut http::Request<B>) -> Option<ContinueGate> {
    if !expects_continue(request.headers()) {
        return None;
    }
    let (open, wanted) = oneshot::channel();
    // hyper calls this from the task of the connection and wants it `Sync`; nobody else ever holds the lock.
    let open = std::sync::Mutex::new(Some(open));
    hyper::ext::on_informational(request, move |informational| {
        // Others may come before it, such as early hints, and say nothing of the body.
        if informational.status() != StatusCode::CONTINUE {
            return;
        }
        if let Some(open) = open.lock().ok().and_then(|mut open| open.take()) {
            // Nobody listens any more when the exchange is over.
            let _ = open.send(());
        }
    });
    Some(ContinueGate {
        wanted: Some(wanted),
        // Counted from when the request was made and not from when the body is first asked for, which is moments later.
        timeout: Box::pin(tokio::time::sleep(CONTINUE_TIMEOUT)),
    })
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers
        .get(header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Empty;
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncWriteExt as _;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn early_hints_before_the_100_do_not_keep_the_body_back() {
        let (here, mut there) = tokio::io::duplex(1 << 10);
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(here)).await;
        let (mut requests, connection) = shaken.unwrap();
        let mut request = http::Request::new(Empty::<Bytes>::new());
        let expectation = http::HeaderValue::from_static("100-continue");
        request.headers_mut().insert(header::EXPECT, expectation);
        let mut gate = gate(&mut request).unwrap();
        let begun = Instant::now();
        let opened = async {
            let heads = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
            there.write_all(heads).await.unwrap();
            std::future::poll_fn(|context| gate.poll_open(context)).await;
        };
        tokio::select! {
            biased;
            ended = connection => panic!("the connection ended: {ended:?}"),
            response = requests.send_request(request) => panic!("{response:?}"),
            () = opened => {}
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

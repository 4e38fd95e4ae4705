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
                Poll::Ready(Ok(())) => return Poll::Ready(()),
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
    let open = std::sync::Mutex::new(Some(open));
    hyper::ext::on_informational(request, move |informational| {
        let open = open.lock().ok().and_then(|mut open| open.take());
        if informational.status() == StatusCode::CONTINUE
            && let Some(open) = open
        {
            // Nobody listens any more when the exchange is over.
            let _ = open.send(());
        }
    });
    Some(ContinueGate {
        wanted: Some(wanted),
        timeout: Box::pin(tokio::time::sleep(CONTINUE_TIMEOUT)),
    })
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers
        .get(header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

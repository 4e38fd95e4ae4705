//! A request's body on its way to the API server, which remembers that it broke off: of an HTTP/2 request the connection tells
//! no more than that its stream was reset.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

/// Whether the caller's body broke off. One that is empty can't.
#[derive(Debug, Default)]
pub(super) struct BrokeOff(Option<Arc<AtomicBool>>);

impl BrokeOff {
    pub(super) fn happened(&self) -> bool {
        let flag = self.0.as_ref();
        flag.is_some_and(|broke_off| broke_off.load(Ordering::Acquire))
    }
}

struct Up {
    body: Body,
    broke_off: Arc<AtomicBool>,
}

/// The same body, watched.
pub(super) fn watched(body: Body) -> (Body, BrokeOff) {
    if body.is_end_stream() {
        return (body, BrokeOff::default());
    }
    let broke_off = Arc::new(AtomicBool::new(false));
    let up = Up {
        body,
        broke_off: Arc::clone(&broke_off),
    };
    (Body::new(up), BrokeOff(Some(broke_off)))
}

impl http_body::Body for Up {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Err(_))) = &polled {
            self.broke_off.store(true, Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

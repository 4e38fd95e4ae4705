//! Bodies that take their time: many bytes, or pieces that come when a test asks for them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use super::{Body, State};

/// How often `/ticks` says something.
const TICK: Duration = Duration::from_millis(100);

/// The bytes that `/bytes/N` sends.
pub fn pattern(count: usize) -> Vec<u8> {
    (0..count)
        .map(|at| u8::try_from(at * 31 % 251).expect("less than 251"))
        .collect()
}

pub(super) fn streamed(count: usize) -> Response<Body> {
    let bytes = Bytes::from(pattern(count));
    let pieces = (0..count.div_ceil(65536)).map(move |piece| {
        let from = piece * 65536;
        Ok(Frame::data(bytes.slice(from..(from + 65536).min(count))))
    });
    Response::new(BodyExt::boxed(StreamBody::new(stream::iter(pieces))))
}

pub(super) fn drip(state: Arc<State>) -> Response<Body> {
    let pieces = stream::once(async { Ok(Frame::data(Bytes::from_static(b"one\n"))) }).chain(
        stream::once(async move {
            state.next_drip.notified().await;
            Ok(Frame::data(Bytes::from_static(b"two\n")))
        }),
    );
    Response::new(BodyExt::boxed(StreamBody::new(SyncStream(Box::pin(
        pieces,
    )))))
}

pub(super) fn ticks(state: Arc<State>) -> Response<Body> {
    let mut clock = tokio::time::interval(TICK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let line = |text: String| Ok(Frame::data(Bytes::from(text)));
    let lines = stream::unfold(Some((clock, 0)), move |next| {
        let state = Arc::clone(&state);
        async move {
            let (mut clock, number) = next?;
            tokio::select! {
                () = state.stop_ticks.notified() => Some((line("end\n".to_owned()), None)),
                _ = clock.tick() => Some((line(format!("{number}\n")), Some((clock, number + 1)))),
            }
        }
    });
    Response::new(BodyExt::boxed(StreamBody::new(SyncStream(Box::pin(lines)))))
}

/// A stream that is only ever polled by one task, so sharing it between threads is no question.
struct SyncStream<S>(std::pin::Pin<Box<S>>);

impl<S: futures_util::Stream> futures_util::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

//! A request's body on its way to a backend: in small pieces, counted as they pass, and held until the backend wants
//! it.
//!
//! Trailers are held to the rules of headers, both ways: a backend may merge them with the headers (RFC 9110 section
//! 6.5.1), and then they would claim an identity, or say how the message is framed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body as _, Frame, SizeHint};

use super::expect_continue::ContinueGate;
use super::io::IoState;
use crate::protocol::hop_by_hop;
use crate::serve::request_context::RequestContext;

/// Bytes of one piece that a backend is given. hyper takes up to 16 pieces that the backend has not taken yet.
const UPLOAD_PIECE_BYTES: usize = 16 << 10;

/// A caller's body on its way to the backend.
#[derive(Debug)]
pub(in crate::serve::forward) struct RequestBody {
    body: Body,
    context: Arc<RequestContext>,
    gate: Option<ContinueGate>,
    /// `None` for a request without a body.
    backpressure: Option<Backpressure>,
    /// What is left of a piece that was too large.
    rest: Option<Bytes>,
    /// Where its pieces are counted, if that is an HTTP/2 connection.
    counted_on: Option<Arc<IoState>>,
    /// Which trailers the backend gets.
    may_pass: fn(&HeaderName) -> bool,
}

/// Whether the backend takes what there is of a body. It is asked for a piece as soon as there is room for one, so a
/// piece that nobody follows up is one that the backend has not read.
#[derive(Debug, Clone, Default)]
pub(in crate::serve::forward) struct Backpressure(Arc<AtomicBool>);

impl Backpressure {
    /// Whether the last piece was handed out and the next one was not asked for.
    pub(in crate::serve::forward) fn is_stalled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn handed_out(&self, has_more: bool) {
        self.0.store(has_more, Ordering::Relaxed);
    }
}

impl RequestBody {
    pub(in crate::serve::forward) fn new(
        body: Body,
        context: Arc<RequestContext>,
        gate: Option<ContinueGate>,
        may_pass: fn(&HeaderName) -> bool,
    ) -> Self {
        Self {
            backpressure: (!body.is_end_stream()).then(Backpressure::default),
            body,
            context,
            gate,
            rest: None,
            counted_on: None,
            may_pass,
        }
    }

    /// Counts the pieces of this body on the connection that it goes out on.
    pub(in crate::serve::forward) fn count_on(&mut self, connection: Arc<IoState>) {
        self.counted_on = Some(connection);
    }

    /// How the backend takes this body, for whoever waits for the response; `None` if there is none.
    pub(in crate::serve::forward) fn backpressure(&self) -> Option<Backpressure> {
        self.backpressure.clone()
    }

    /// The frame, or as much of it as one piece may have.
    fn one_piece(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(mut data) if data.len() > UPLOAD_PIECE_BYTES => {
                let piece = data.split_to(UPLOAD_PIECE_BYTES);
                self.rest = Some(data);
                Frame::data(piece)
            }
            Ok(data) => Frame::data(data),
            Err(frame) => frame,
        }
    }

    /// No body.
    pub(in crate::serve::forward) fn empty(context: Arc<RequestContext>) -> Self {
        Self::new(Body::empty(), context, None, |_| false)
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // The gate opens once: after the first piece there is nothing to ask any more.
        if let Some(gate) = &mut self.gate {
            std::task::ready!(gate.poll_open(context));
            self.gate = None;
        }
        let polled = match self.rest.take() {
            // What was cut off comes before anything new, else the body would be out of order.
            Some(rest) => Poll::Ready(Some(Ok(Frame::data(rest)))),
            None => Pin::new(&mut self.body).poll_frame(context),
        };
        let polled = polled.map_ok(|frame| self.one_piece(frame));
        if let Some(backpressure) = &self.backpressure {
            let is_piece = matches!(&polled, Poll::Ready(Some(Ok(frame))) if frame.is_data());
            backpressure.handed_out(is_piece && !self.is_end_stream());
        }
        if let (Poll::Ready(Some(Ok(_))), Some(connection)) = (&polled, &self.counted_on) {
            connection.progressed();
        }
        polled.map_ok(|frame| {
            self.context.went_up(frame.data_ref().map_or(0, Bytes::len));
            keep_trailers(frame, self.may_pass)
        })
    }

    // A rest that is not out yet is still body, though the caller's stream has ended.
    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        // The exact length is what hyper writes as `Content-Length`, so what is cut off must not be missing from it.
        if let Some(rest) = &self.rest {
            let rest = rest.len() as u64;
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper + rest);
            }
            hint.set_lower(hint.lower() + rest);
        }
        hint
    }
}

/// The same frame; of trailers those that may be passed on.
pub(in crate::serve::forward) fn keep_trailers(
    frame: Frame<Bytes>,
    may_pass: fn(&HeaderName) -> bool,
) -> Frame<Bytes> {
    let mut before = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(data) => return data,
    };
    let mut after = HeaderMap::with_capacity(before.len());
    // What is left may be nothing, and an empty frame of trailers is still a correct end.
    hop_by_hop::keep(&mut before, &mut after, may_pass);
    Frame::trailers(after)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn a_large_piece_of_an_upload_goes_on_in_small_ones() {
        let context = RequestContext::for_tests();
        let mut body = RequestBody::new(Body::from(vec![7; 40 << 10]), context, None, |_| true);
        let backpressure = body.backpressure().unwrap();
        for (left, piece) in [(40, 16), (24, 16), (8, 8)] {
            assert_eq!(body.size_hint().exact(), Some(left << 10));
            assert!(!body.is_end_stream());
            let frame = body.frame().now_or_never().unwrap().unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap().len(), piece << 10);
            assert_eq!(backpressure.is_stalled(), left > 8);
        }
        assert!(body.is_end_stream());
    }
}

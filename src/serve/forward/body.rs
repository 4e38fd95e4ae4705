//! Bodies on their way: counted as they pass, and the answer's last byte gives its connection back.
//!
//! Trailers are held to the rules of headers, both ways: a backend may merge them with the headers (RFC 9110 section 6.5.1),
//! and then they would claim an identity, or say how the message is framed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::expect::Gate;
use super::headers;
use super::transport::io::Received;
use super::transport::pool::Return;
use super::transport::streams::StreamPlace;
use crate::protocol::hop_by_hop;
use crate::serve::request_context::RequestContext;

/// Bytes of one piece that a backend is given. hyper takes up to 16 pieces that the backend has not taken yet.
const UPLOAD_PIECE_BYTES: usize = 16 << 10;

/// A caller's body on its way to the backend.
#[derive(Debug)]
pub(super) struct Up {
    body: Body,
    context: Arc<RequestContext>,
    gate: Option<Gate>,
    /// `None` for a request without a body.
    taken: Option<Taken>,
    /// What is left of a piece that was too large.
    rest: Option<Bytes>,
    /// Where its pieces are counted, if that is an HTTP/2 connection.
    counted_on: Option<Arc<Received>>,
}

/// Whether the backend takes what there is of a body. It is asked for a piece as soon as there is room for one, so a piece
/// that nobody follows up is one that the backend has not read.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken(Arc<AtomicBool>);

impl Taken {
    /// Whether the last piece was handed out and the next one was not asked for.
    pub(super) fn is_waited_for(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn handed_out(&self, has_more: bool) {
        self.0.store(has_more, Ordering::Relaxed);
    }
}

impl Up {
    pub(super) fn new(body: Body, context: Arc<RequestContext>, gate: Option<Gate>) -> Self {
        Self {
            taken: (!body.is_end_stream()).then(Taken::default),
            body,
            context,
            gate,
            rest: None,
            counted_on: None,
        }
    }

    /// Counts the pieces of this body on the connection that it goes out on.
    pub(super) fn count_on(&mut self, connection: Arc<Received>) {
        self.counted_on = Some(connection);
    }

    /// How the backend takes this body, for whoever waits for the answer; `None` if there is none.
    pub(super) fn taken(&self) -> Option<Taken> {
        self.taken.clone()
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

    pub(super) fn empty(context: Arc<RequestContext>) -> Self {
        Self::new(Body::empty(), context, None)
    }
}

impl http_body::Body for Up {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(gate) = &mut self.gate {
            std::task::ready!(gate.poll_open(context));
            self.gate = None;
        }
        let polled = match self.rest.take() {
            Some(rest) => Poll::Ready(Some(Ok(Frame::data(rest)))),
            None => Pin::new(&mut self.body).poll_frame(context),
        };
        let polled = polled.map_ok(|frame| self.one_piece(frame));
        if let Some(taken) = &self.taken {
            let is_piece = matches!(&polled, Poll::Ready(Some(Ok(frame))) if frame.is_data());
            taken.handed_out(is_piece && !self.is_end_stream());
        }
        if let (Poll::Ready(Some(Ok(_))), Some(connection)) = (&polled, &self.counted_on) {
            connection.pass();
        }
        polled.map_ok(|frame| {
            self.context.went_up(frame.data_ref().map_or(0, Bytes::len));
            with_trailers(frame, headers::is_request_trailer)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
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
fn with_trailers(frame: Frame<Bytes>, may_pass: fn(&HeaderName) -> bool) -> Frame<Bytes> {
    let mut before = match frame.into_trailers() {
        Ok(trailers) => trailers,
        Err(data) => return data,
    };
    let mut after = HeaderMap::with_capacity(before.len());
    hop_by_hop::keep(&mut before, &mut after, may_pass);
    Frame::trailers(after)
}

/// A backend's body on its way to the caller.
#[derive(Debug)]
pub(super) struct Down {
    body: Incoming,
    context: Arc<RequestContext>,
    /// Taken when the last byte has passed; dropped with the body if it never does, which closes an HTTP/1 connection and
    /// gives the place on an HTTP/2 connection back.
    connection: Option<Lease>,
}

/// What an exchange has of a connection until its end.
#[derive(Debug)]
pub(super) enum Lease {
    Http1(Return),
    Http2(StreamPlace),
}

impl Lease {
    /// A piece of the body went on.
    fn passed(&mut self, bytes: usize, context: &RequestContext) {
        match self {
            Self::Http1(connection) => connection.passed(bytes, context),
            Self::Http2(place) => place.passed(),
        }
    }

    fn give_back(self) {
        match self {
            Self::Http1(connection) => connection.give_back(),
            Self::Http2(place) => drop(place),
        }
    }
}

impl Down {
    pub(super) fn new(
        body: Incoming,
        context: Arc<RequestContext>,
        connection: Option<Lease>,
    ) -> Self {
        let mut down = Self {
            body,
            context,
            connection,
        };
        down.give_back_at_the_end();
        down
    }

    fn give_back_at_the_end(&mut self) {
        if self.body.is_end_stream()
            && let Some(connection) = self.connection.take()
        {
            connection.give_back();
        }
    }
}

impl http_body::Body for Down {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let Self {
                    context,
                    connection,
                    ..
                } = &mut *self;
                context.went_down(bytes);
                if let Some(connection) = connection {
                    connection.passed(bytes, context);
                }
                self.give_back_at_the_end();
            }
            Poll::Ready(None) => {
                if let Some(connection) = self.connection.take() {
                    connection.give_back();
                }
            }
            Poll::Ready(Some(Err(_))) => self.connection = None,
            Poll::Pending => {}
        }
        polled.map_ok(|frame| with_trailers(frame, headers::is_response_trailer))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;
    use crate::serve::telemetry::{AccessLog, AuditId, Metrics};

    #[test]
    fn a_large_piece_of_an_upload_goes_on_in_small_ones() {
        let audit_id = AuditId::of(&HeaderMap::new());
        let context =
            RequestContext::begin(audit_id, Arc::new(Metrics::default()), AccessLog::off());
        let mut up = Up::new(Body::from(vec![7; 40 << 10]), context, None);
        let taken = up.taken().unwrap();
        for (left, piece) in [(40, 16), (24, 16), (8, 8)] {
            assert_eq!(up.size_hint().exact(), Some(left << 10));
            assert!(!up.is_end_stream());
            let frame = up.frame().now_or_never().unwrap().unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap().len(), piece << 10);
            assert_eq!(taken.is_waited_for(), left > 8);
        }
        assert!(up.is_end_stream());
    }
}

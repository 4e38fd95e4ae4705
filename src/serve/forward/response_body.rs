//! A backend's response on its way to the caller: its body is counted, and the last byte gives the connection back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::headers;
use super::transport::pool::Lease;
use super::transport::request_body::keep_trailers;
use crate::protocol::hop_by_hop;
use crate::protocol::status::Response;
use crate::serve::request_context::RequestContext;

/// The response as the next stages get it; its body gives the connection back.
pub(super) fn to_caller(
    response: http::Response<Incoming>,
    context: &Arc<RequestContext>,
    lease: Lease,
) -> Response {
    let (mut parts, body) = response.into_parts();
    // Before anybody reads them: what a backend says of its own connection is nothing that a caller may act on.
    hop_by_hop::remove(&mut parts.headers);
    // The server that writes it picks its own version again; one from an HTTP/2 backend would not fit a caller of
    // HTTP/1.
    parts.version = Version::HTTP_11;
    // Made for a response without a body too, as that is what gives the connection back.
    let body = ResponseBody::new(body, Arc::clone(context), Some(lease));
    let body = match parts.status {
        // They have no body. Go's HTTP/2 client would wait for as many bytes as they say, and h2 takes the piece of no
        // bytes that some backends end them with for one that is too short.
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => {
            parts.headers.remove(http::header::CONTENT_LENGTH);
            Body::empty()
        }
        _ => Body::new(body),
    };
    Response::from_parts(parts, body)
}

/// A backend's body on its way to the caller.
#[derive(Debug)]
pub(super) struct ResponseBody {
    body: Incoming,
    context: Arc<RequestContext>,
    /// Taken when the last byte has passed; dropped with the body if it never does, which closes an HTTP/1 connection
    /// and gives the slot on an HTTP/2 connection back.
    connection: Option<Lease>,
}

impl ResponseBody {
    pub(super) fn new(
        body: Incoming,
        context: Arc<RequestContext>,
        connection: Option<Lease>,
    ) -> Self {
        let mut body = Self {
            body,
            context,
            connection,
        };
        // A response without a body has its end here already, and nobody may ever poll it.
        body.give_back_at_the_end();
        body
    }

    fn give_back_at_the_end(&mut self) {
        if self.body.is_end_stream()
            && let Some(connection) = self.connection.take()
        {
            connection.give_back();
        }
    }
}

impl http_body::Body for ResponseBody {
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
                // Counted as it goes on to the caller and not as it is read: a body becomes long only if somebody takes
                // it.
                if let Some(connection) = connection {
                    connection.passed(bytes, context);
                }
                // With the last piece and not with the poll after it: hyper's server does not ask again once it has
                // seen the length.
                self.give_back_at_the_end();
            }
            Poll::Ready(None) => {
                // Only for bodies that did not know their end, such as those that are chunked.
                if let Some(connection) = self.connection.take() {
                    connection.give_back();
                }
            }
            // Dropped and not given back: what follows on it is not the begin of a response.
            Poll::Ready(Some(Err(_))) => self.connection = None,
            Poll::Pending => {}
        }
        polled.map_ok(|frame| keep_trailers(frame, headers::is_response_trailer))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

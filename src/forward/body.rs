//! Bodies on their way: counted as they pass, and the answer's last byte gives its connection back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::expect::Gate;
use super::pool::Return;
use crate::telemetry::Journey;

/// A caller's body on its way to the backend.
#[derive(Debug)]
pub(super) struct Up {
    body: Body,
    journey: Arc<Journey>,
    gate: Option<Gate>,
}

impl Up {
    pub(super) fn new(body: Body, journey: Arc<Journey>, gate: Option<Gate>) -> Self {
        Self {
            body,
            journey,
            gate,
        }
    }

    pub(super) fn empty(journey: Arc<Journey>) -> Self {
        Self::new(Body::empty(), journey, None)
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
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.journey.went_up(frame.data_ref().map_or(0, Bytes::len));
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

/// A backend's body on its way to the caller.
#[derive(Debug)]
pub(super) struct Down {
    body: Incoming,
    journey: Arc<Journey>,
    /// Taken when the last byte has passed; dropped with the body if it never does, which closes the connection.
    connection: Option<Return>,
}

impl Down {
    pub(super) fn new(body: Incoming, journey: Arc<Journey>, connection: Option<Return>) -> Self {
        let mut down = Self {
            body,
            journey,
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
                self.journey
                    .went_down(frame.data_ref().map_or(0, Bytes::len));
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
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

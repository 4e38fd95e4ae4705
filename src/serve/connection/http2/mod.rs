//! One HTTP/2 connection. In: a TLS stream. Out: an exchange for each of its streams, each a task of its own.
//!
//! kube-apiserver sends everybody's requests over one connection. So what one user can cause there is an error of a
//! stream and never one of the connection; what a stranger's connection may do stays as little as h2 allows by itself.
//!
//! h2 is driven here and not by hyper, which does not pass the budget for small DATA frames on.
//! RFC 9113; k8s.io/apiserver: `pkg/server/secure_serving.go`.

mod date;
mod keep_alive;
mod stream;
mod upload;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::{Builder, Handshake};
use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncRead, AsyncWrite};

use super::PeerClass;
use super::cork::Turn;
use super::error::ConnectionError;
use crate::protocol::status::{Request, Response};
use crate::serve::config::ConnectionLimits;
use keep_alive::KeepAlive;
use stream::{ExchangeError, Taker};

/// What a caller may send on one stream before it is read, in bytes; no more than this is held of one body.
const STREAM_WINDOW: u32 = 32 << 10;

/// What h2 holds to send on one stream, in bytes: parts of the pieces that a backend sent last. Half of it costs a
/// download 6 % more CPU, and twice of it saves none; large reads do that (see `forward/transport/bulk_read.rs`).
const MAX_SEND_BUFFER: usize = 128 << 10;

/// Streams at the same time on a stranger's connection; Go's servers allow 250 and k8s.io/apiserver 100 to strangers.
const STRANGER_STREAMS: u32 = 100;

/// Streams that a stranger may take back before they were looked at; more end the connection (CVE-2023-44487).
const STRANGER_EARLY_RESETS: usize = 20;

/// Malformed requests on a stranger's connection, over its whole life.
const STRANGER_MALFORMED: usize = 1024;

/// h2's settings for a connection with this caller; `header_bytes` is what the headers of one request may have.
pub(super) fn settings(class: PeerClass, limits: &ConnectionLimits, header_bytes: u32) -> Builder {
    let streams = match class {
        PeerClass::FrontProxy => limits.max_streams,
        PeerClass::Stranger => limits.max_streams.min(STRANGER_STREAMS),
    };
    // No stream can use up another's share: the connection's window is that of all its streams.
    let window = u64::from(STREAM_WINDOW) * u64::from(streams);
    // The number on the wire has 31 bits (RFC 9113 section 6.9.1).
    let window =
        u32::try_from(window).map_or(i32::MAX as u32, |window| window.min(i32::MAX as u32));
    let mut settings = Builder::new();
    settings
        .max_concurrent_streams(streams)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(window.max(STREAM_WINDOW))
        .max_send_buffer_size(MAX_SEND_BUFFER)
        .max_header_list_size(header_bytes);
    match class {
        PeerClass::FrontProxy => settings
            // Users hang up and send what is malformed; neither is the others' doing.
            .max_pending_accept_reset_streams(usize::MAX)
            .max_local_error_reset_streams(None)
            // Frames are taken over as they arrive, so that their number costs nothing (see `upload`).
            .data_frame_budget(usize::MAX),
        PeerClass::Stranger => settings
            .max_pending_accept_reset_streams(STRANGER_EARLY_RESETS)
            .max_local_error_reset_streams(Some(STRANGER_MALFORMED)),
    };
    settings
}

/// A connection that runs as a future.
pub(super) struct Connection<I, S> {
    state: ConnectionState<I>,
    turn: Turn,
    service: S,
    limits: ConnectionLimits,
    taker: Taker,
    end: Shutdown,
}

/// Whether the connection was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shutdown {
    NotRequested,
    Requested,
}

#[allow(
    clippy::large_enum_variant,
    reason = "one a connection, and the whole future is on the heap"
)]
enum ConnectionState<I> {
    /// The preface and the first settings are on their way.
    Starting(Handshake<I, Bytes>),
    Open {
        http: h2::server::Connection<I, Bytes>,
        keep_alive: KeepAlive,
    },
}

impl<I, S> Connection<I, S>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    pub(super) fn new(
        io: I,
        turn: Turn,
        settings: &Builder,
        peer: SocketAddr,
        limits: &ConnectionLimits,
        service: S,
    ) -> Self {
        Self {
            state: ConnectionState::Starting(settings.handshake(io)),
            turn,
            service,
            taker: Taker {
                address: peer,
                timeout: limits.exchange_idle_timeout,
            },
            limits: limits.clone(),
            end: Shutdown::NotRequested,
        }
    }

    /// Says that no further stream is accepted; those that are open go on.
    pub(super) fn end_in_order(&mut self) {
        self.end = Shutdown::Requested;
        if let ConnectionState::Open { http, .. } = &mut self.state {
            // Asked while the handshake still runs it is remembered, and said as the first thing after it.
            http.graceful_shutdown();
        }
    }
}

impl<I, S, A, F> Future for Connection<I, S>
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: FnMut() -> A + Unpin,
    A: FnOnce(Request) -> F + Send + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    type Output = Result<(), ConnectionError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // A turn begins: frames that its exchanges write are gathered until the end.
        this.turn.cork();
        loop {
            match &mut this.state {
                ConnectionState::Starting(handshake) => {
                    let mut http = ready!(Pin::new(handshake).poll(context))?;
                    let ping = http.ping_pong();
                    if this.end == Shutdown::Requested {
                        http.graceful_shutdown();
                    }
                    this.state = ConnectionState::Open {
                        http,
                        keep_alive: KeepAlive::new(ping, &this.limits),
                    };
                }
                ConnectionState::Open { http, keep_alive } => {
                    // Before new requests are taken: a caller that is gone has none.
                    if keep_alive.poll(context).is_ready() {
                        return Poll::Ready(Err(ConnectionError::PingTimeout));
                    }
                    let mut accepted = http.poll_accept(context);
                    // Nothing more to do in this turn. What the cork held goes out with the flush that this second poll
                    // makes.
                    if accepted.is_pending() && this.turn.uncork() {
                        accepted = http.poll_accept(context);
                    }
                    let Some(accepted) = ready!(accepted) else {
                        // Over, when the last stream has ended and the caller has closed or was told to go.
                        return Poll::Ready(Ok(()));
                    };
                    let (request, respond) = accepted?;
                    let exchange = stream::exchange(request, respond, this.taker, (this.service)());
                    // On the heap at once: to become a task, a future is moved some times.
                    let exchange = Box::pin(exchange);
                    // A task of its own, so that a slow response stops no other stream. It lives as long as its
                    // connection and its handler.
                    TokioExecutor::new().execute(async move {
                        match exchange.await {
                            Ok(()) | Err(ExchangeError::NotTaken) => {}
                            Err(broken) => {
                                tracing::debug!(error = %broken, "an exchange broke off");
                            }
                        }
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! One connection's HTTP: hyper with the limits of `ConnectionLimits`, and the ways in which a connection ends.
//!
//! A connection ends in order (GOAWAY, `Connection: close`) when the server drains, when its caller was refused as
//! unknown ([`Peer::retire`]), and on HTTP/2 when it was idle for long; HTTP/1 has its header limit for that.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use http::HeaderMap;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Peer;
use crate::config::ConnectionLimits;
use crate::lifecycle::{LastTurn, OnWake, Tasks};
use crate::status::{Reason, Request, Response, Status};

/// How a connection came to an end that nobody wished for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the TLS handshake took too long")]
    HandshakeLate,
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("the socket failed")]
    Socket(#[from] io::Error),
    #[error("the HTTP exchange broke off")]
    Http(#[from] hyper::Error),
}

type Stream = TokioIo<TlsStream<TcpStream>>;

pub(super) async fn serve_http1<A, F>(
    stream: TlsStream<TcpStream>,
    peer: Peer,
    limits: &ConnectionLimits,
    tasks: &Tasks,
    answer: A,
) -> Result<(), Ended>
where
    A: Fn(Peer, Box<Request>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let shared = Shared::new(peer.clone(), limits, answer);
    let of_requests = Arc::clone(&shared);
    let service = service_fn(move |request| Arc::clone(&of_requests).within_limits(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_limit)
        // Twice the limits, so that a request above them is answered with a Status and not with hyper's bare 431.
        .max_headers(limits.max_header_lines * 2)
        .max_buf_size(limits.max_header_bytes as usize * 2)
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    drive(connection, &peer, limits, tasks, &shared.activity).await
}

pub(super) async fn serve_http2<A, F>(
    stream: TlsStream<TcpStream>,
    peer: Peer,
    limits: &ConnectionLimits,
    tasks: &Tasks,
    answer: A,
) -> Result<(), Ended>
where
    A: Fn(Peer, Box<Request>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let shared = Shared::new(peer.clone(), limits, answer);
    let of_requests = Arc::clone(&shared);
    let service = service_fn(move |request| Arc::clone(&of_requests).within_limits(request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(limits.max_header_bytes)
        .keep_alive_interval(limits.idle_limit / 3)
        .keep_alive_timeout(limits.header_read_limit)
        .serve_connection(TokioIo::new(stream), service);
    // Requests of one connection are often answered together; their answers leave in one write then.
    let connection = LastTurn::new(connection);
    drive(connection, &peer, limits, tasks, &shared.activity).await
}

/// What the requests of one connection share.
#[derive(Debug)]
struct Shared<A> {
    peer: Peer,
    activity: Activity,
    max_header_lines: usize,
    max_header_bytes: usize,
    answer: A,
}

impl<A> Shared<A> {
    fn new(peer: Peer, limits: &ConnectionLimits, answer: A) -> Arc<Self> {
        Arc::new(Self {
            peer,
            activity: Activity::default(),
            max_header_lines: limits.max_header_lines,
            max_header_bytes: limits.max_header_bytes as usize,
            answer,
        })
    }

    /// Answers a request that keeps the limits, and counts it while it waits for its answer.
    async fn within_limits<F>(
        self: Arc<Self>,
        request: http::Request<Incoming>,
    ) -> Result<Response, Infallible>
    where
        A: Fn(Peer, Box<Request>) -> F,
        F: Future<Output = Response>,
    {
        let bytes = header_bytes(request.headers());
        if request.headers().len() > self.max_header_lines || bytes > self.max_header_bytes {
            return Ok(headers_too_large().into_response());
        }
        let _open = self.activity.begin();
        // On the heap: a request is passed from stage to stage, each of which would hold a copy of it.
        let request = Box::new(request.map(Body::new));
        Ok((self.answer)(self.peer.clone(), request).await)
    }
}

/// What happens on one connection, in numbers.
#[derive(Debug, Default)]
struct Activity {
    /// Requests that have begun, ever.
    begun: AtomicUsize,
    /// Requests that wait for their answer.
    open: AtomicUsize,
}

impl Activity {
    fn begin(&self) -> Open<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }

    /// How many requests had begun if the connection is idle, `None` while one is open.
    fn idle_after(&self) -> Option<usize> {
        (self.open.load(Ordering::Relaxed) == 0).then(|| self.begun.load(Ordering::Relaxed))
    }
}

/// A request that waits for its answer; gone when it is answered or its caller is.
struct Open<'a>(&'a Activity);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

fn headers_too_large() -> Status {
    Status::new(
        http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Reason::Unknown,
        "the request's headers are too large: at most 1000 lines and 1 MiB",
    )
}

/// What HTTP/1 and HTTP/2 connections have in common here: both run as a future and can be asked to end in order.
trait Connection: Future<Output = Result<(), hyper::Error>> {
    fn end_in_order(self: Pin<&mut Self>);
}

impl<S> Connection for http1::UpgradeableConnection<Stream, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = Body, Error = Infallible>,
{
    fn end_in_order(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> Connection for http2::Connection<Stream, S, TokioExecutor>
where
    S: hyper::service::HttpService<Incoming, ResBody = Body, Error = Infallible>,
    S::Future: Send + 'static,
{
    fn end_in_order(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<C: Connection> Connection for LastTurn<C> {
    fn end_in_order(mut self: Pin<&mut Self>) {
        self.inner().end_in_order();
    }
}

/// Runs a connection to its end.
async fn drive(
    connection: impl Connection,
    peer: &Peer,
    limits: &ConnectionLimits,
    tasks: &Tasks,
    activity: &Activity,
) -> Result<(), Ended> {
    let mut connection = pin!(connection);
    // Cancel-safe: the connection is only borrowed, and waiting for its end to come changes nothing.
    tokio::select! {
        biased;
        ended = connection.as_mut() => return Ok(ended?),
        () = OnWake::new(has_to_end(peer, limits, tasks, activity)) => {}
    }
    connection.as_mut().end_in_order();
    Ok(connection.await?)
}

/// Resolves when the server drains, the caller is retired, or the connection was idle for a whole interval.
async fn has_to_end(peer: &Peer, limits: &ConnectionLimits, tasks: &Tasks, activity: &Activity) {
    let idle = async {
        let mut look = tokio::time::interval(limits.idle_limit);
        look.tick().await;
        let mut idle_before = None;
        loop {
            look.tick().await;
            let idle_now = activity.idle_after();
            if idle_now.is_some() && idle_now == idle_before {
                return;
            }
            idle_before = idle_now;
        }
    };
    tokio::select! {
        () = tasks.draining() => {}
        () = peer.retired() => {}
        () = idle => {}
    }
}

//! One connection's HTTP: hyper with the limits of `ConnectionLimits`, and the ways in which a connection ends.
//!
//! kube-apiserver carries everybody's requests over one HTTP/2 connection. So on the front proxy's connections nothing that
//! one user can cause is an error of the connection: streams that are reset at once, header lists that are too large,
//! bodies that nobody reads. The window of the connection covers all streams that may be open, so a stalled stream takes
//! from no other, and what a stream may hold is small. Strangers have connections of their own and keep the strict limits.
//! Header lists above the advertised size are refused by kube-apiserver itself (`net/http` of Go compares them with
//! SETTINGS_MAX_HEADER_LIST_SIZE, RFC 9113 section 6.5.2).
//!
//! A connection ends in order (GOAWAY, `Connection: close`) when the server drains, when its caller was refused as
//! unknown ([`Peer::retire`]), and on HTTP/2 when it was idle for long; HTTP/1 has its header limit for that.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use axum::body::Body;
use http::HeaderMap;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::cork::{Corked, Turn};
use super::head_budget::{HeadBytes, Metered};
use super::places::NoPlace;
use super::upgraded::{CallerStream, CallerTls};
use super::{Peer, PeerClass, http2};
use crate::lifecycle::{LastTurn, OnWake, Tasks};
use crate::protocol::status::{Reason, Request, Response, Status};
use crate::serve::config::ConnectionLimits;
use crate::serve::request_context::RequestContext;

/// How a connection came to an end that nobody wished for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the TLS handshake took too long")]
    HandshakeLate,
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("the socket failed")]
    Socket(#[from] io::Error),
    #[error("nothing was asked in time")]
    NothingAsked,
    #[error("the address or all strangers have too many connections")]
    NoPlace(#[from] NoPlace),
    #[error("the HTTP exchange broke off")]
    Http(#[from] hyper::Error),
    #[error("the HTTP/2 connection broke off")]
    Http2(#[from] h2::Error),
    #[error("the caller does not answer a PING")]
    Unreachable,
}

/// Bytes and lines of a stranger's request head.
const STRANGER_HEADER_BYTES: u32 = 64 << 10;
const STRANGER_HEADER_LINES: usize = 256;

/// What the head of one request may have.
#[derive(Debug, Clone, Copy)]
struct HeadLimits {
    bytes: u32,
    /// Lines besides those in which the front proxy names the user.
    lines: usize,
}

impl HeadLimits {
    fn of(class: PeerClass, limits: &ConnectionLimits) -> Self {
        match class {
            PeerClass::FrontProxy => Self {
                bytes: limits.max_header_bytes,
                lines: limits.max_header_lines,
            },
            PeerClass::Stranger => Self {
                bytes: limits.max_header_bytes.min(STRANGER_HEADER_BYTES),
                lines: limits.max_header_lines.min(STRANGER_HEADER_LINES),
            },
        }
    }

    fn allow(self, headers: &HeaderMap) -> bool {
        // Every line counts 32 bytes more in a header list, so a list within its bytes has few enough of them.
        let lines = headers.len();
        header_bytes(headers) <= self.bytes as usize
            && (lines <= self.lines || lines - named_by_the_front_proxy(headers) <= self.lines)
    }
}

/// Lines with which the front proxy says who the user is. A user in a thousand groups has a thousand of them.
fn named_by_the_front_proxy(headers: &HeaderMap) -> usize {
    let names = headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| name.starts_with("x-remote-")).count()
}

pub(super) async fn serve_http1<A, F>(
    stream: CallerTls,
    peer: Peer,
    limits: &ConnectionLimits,
    tasks: &Tasks,
    heads: HeadBytes,
    answer: A,
) -> Result<(), Ended>
where
    A: Fn(Peer, Box<Request>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let head = HeadLimits::of(peer.class(), limits);
    let shared = Shared::new(peer.clone(), limits, answer);
    let of_requests = Arc::clone(&shared);
    let (stream, open) = match peer.class() {
        PeerClass::FrontProxy => (CallerStream::Left(stream), None),
        PeerClass::Stranger => {
            let metered = Metered::new(stream, heads.clone());
            (CallerStream::Right(metered), Some(heads))
        }
    };
    let service = service_fn(move |request: http::Request<Incoming>| {
        let request = match &open {
            None => request.map(Body::new),
            Some(heads) => {
                let open = heads.whole();
                request.map(|body| Body::new(open.with(body)))
            }
        };
        let shared = Arc::clone(&of_requests);
        async move {
            let response = Arc::clone(&shared).within_limits(request).await?;
            shared.activity.responds_with(&response);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_limit)
        // Twice the limits, so that a request above them is answered with a Status and not with hyper's bare 431.
        .max_headers(head.lines * 2)
        .max_buf_size(head.bytes as usize * 2)
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    drive(connection, &peer, limits, tasks, &shared.activity).await
}

pub(super) async fn serve_http2<A, F>(
    stream: CallerTls,
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
    let service = move || {
        let shared = Arc::clone(&of_requests);
        move |request| async move {
            match shared.within_limits(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    };
    let bytes = HeadLimits::of(peer.class(), limits).bytes;
    let settings = http2::settings(peer.class(), limits, bytes);
    let turn = Turn::default();
    let stream = Corked::new(stream, turn.clone());
    let connection =
        http2::Connection::new(stream, turn, &settings, peer.address(), limits, service);
    // Requests of one connection are often answered together; their answers leave in one write then.
    let connection = LastTurn::new(connection);
    drive(connection, &peer, limits, tasks, &shared.activity).await
}

/// What the requests of one connection share.
#[derive(Debug)]
struct Shared<A> {
    peer: Peer,
    activity: Activity,
    head: HeadLimits,
    answer: A,
}

impl<A> Shared<A> {
    fn new(peer: Peer, limits: &ConnectionLimits, answer: A) -> Arc<Self> {
        Arc::new(Self {
            head: HeadLimits::of(peer.class(), limits),
            peer,
            activity: Activity::default(),
            answer,
        })
    }

    /// Answers a request that keeps the limits, and counts it while it waits for its answer.
    async fn within_limits<F>(
        self: Arc<Self>,
        request: http::Request<Body>,
    ) -> Result<Response, Infallible>
    where
        A: Fn(Peer, Box<Request>) -> F,
        F: Future<Output = Response>,
    {
        let _open = self.activity.begin();
        if !self.head.allow(request.headers()) {
            return Ok(headers_too_large(self.head).into_response());
        }
        // On the heap: a request is passed from stage to stage, each of which would hold a copy of it.
        let request = Box::new(request);
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
    /// Whose response is on its way; HTTP/1 alone, which has one at a time.
    response: Mutex<Weak<RequestContext>>,
}

impl Activity {
    fn begin(&self) -> Open<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }

    fn responds_with(&self, response: &Response) {
        if let Some(context) = response.extensions().get::<Arc<RequestContext>>() {
            *self.response() = Arc::downgrade(context);
        }
    }

    fn response(&self) -> MutexGuard<'_, Weak<RequestContext>> {
        self.response.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whose response it was that nobody took, if the connection ended for that. To be called while the connection
    /// holds the response's body: whoever has been answered is not to blame.
    fn note_end(&self, ended: &Ended, timeout: Duration) {
        let timed_out = matches!(ended, Ended::Http(failed) if is_timeout_of_socket(failed));
        if timed_out && let Some(context) = self.response().upgrade() {
            context.response_not_taken(timeout);
        }
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

/// Whether the kernel gave a connection up: nothing was acknowledged, or taken, for `TCP_USER_TIMEOUT`.
fn is_timeout_of_socket(failed: &hyper::Error) -> bool {
    let mut cause = failed.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.kind() == io::ErrorKind::TimedOut;
        }
        cause = error.source();
    }
    false
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

fn headers_too_large(head: HeadLimits) -> Status {
    let HeadLimits { bytes, lines } = head;
    Status::new(
        http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Reason::Unknown,
        format!("the request's headers are too large: at most {lines} lines and {bytes} bytes"),
    )
}

/// What HTTP/1 and HTTP/2 connections have in common here: both run as a future and can be asked to end in order.
trait Connection: Future<Output = Result<(), Self::Failure>> {
    type Failure: Into<Ended>;

    fn end_in_order(self: Pin<&mut Self>);
}

impl<S> Connection for http1::UpgradeableConnection<TokioIo<CallerStream>, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = Body, Error = Infallible>,
{
    type Failure = hyper::Error;

    fn end_in_order(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> Connection for http2::Connection<Corked<TcpStream>, S>
where
    Self: Future<Output = Result<(), Ended>> + Unpin,
{
    type Failure = Ended;

    fn end_in_order(self: Pin<&mut Self>) {
        self.get_mut().end_in_order();
    }
}

impl<C: Connection> Connection for LastTurn<C> {
    type Failure = C::Failure;

    fn end_in_order(mut self: Pin<&mut Self>) {
        self.inner().end_in_order();
    }
}

/// Runs a connection to its end.
async fn drive<C: Connection>(
    connection: C,
    peer: &Peer,
    limits: &ConnectionLimits,
    tasks: &Tasks,
    activity: &Activity,
) -> Result<(), Ended> {
    let mut connection = pin!(connection);
    let because = |failed: C::Failure| {
        let ended = failed.into();
        activity.note_end(&ended, limits.exchange_idle_timeout);
        ended
    };
    // Cancel-safe: the connection is only borrowed, and waiting for its end to come changes nothing.
    let end = tokio::select! {
        biased;
        ended = connection.as_mut() => return ended.map_err(because),
        end = OnWake::new(has_to_end(peer, limits, tasks, activity)) => end,
    };
    match end {
        End::InOrder => {
            connection.as_mut().end_in_order();
            connection.as_mut().await.map_err(because)
        }
        // Nothing was asked, so there is nothing to end in order; a caller that is silent would not take part.
        End::Silent => Err(Ended::NothingAsked),
    }
}

/// How a connection that has to end does so.
enum End {
    InOrder,
    /// No request was whole within the time for a head, since the handshake.
    Silent,
}

/// Resolves when the server drains, the caller is retired, nothing was asked in time, or the connection was idle for a
/// whole interval.
async fn has_to_end(
    peer: &Peer,
    limits: &ConnectionLimits,
    tasks: &Tasks,
    activity: &Activity,
) -> End {
    let silent = async {
        tokio::time::sleep(limits.header_read_limit).await;
        if activity.begun.load(Ordering::Relaxed) > 0 {
            std::future::pending::<()>().await;
        }
    };
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
        () = tasks.draining() => End::InOrder,
        () = peer.retired() => End::InOrder,
        () = silent => End::Silent,
        () = idle => End::InOrder,
    }
}

//! One connection's HTTP, with the limits of `ConnectionLimits`; when it ends is in [`super::graceful`].
//!
//! kube-apiserver carries everybody's requests over one HTTP/2 connection. So on the front proxy's connections nothing
//! that one user can cause is an error of the connection: streams that are reset at once, header lists that are too
//! large, bodies that nobody reads. The window of the connection covers all streams that may be open, so a stalled
//! stream takes from no other, and what a stream may hold is small. Strangers have connections of their own and keep
//! the strict limits. Header lists above the advertised size are refused by kube-apiserver itself (`net/http` of Go
//! compares them with SETTINGS_MAX_HEADER_LIST_SIZE, RFC 9113 section 6.5.2).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::activity::Activity;
use super::cork::{Corked, Turn};
use super::error::ConnectionError;
use super::graceful::{GracefulConnection, drive};
use super::handler::Handler;
use super::head_budget::{HeadBytes, Metered};
use super::head_limits::HeadLimits;
use super::upgraded::{CallerStream, CallerTls};
use super::{Peer, PeerClass, http2};
use crate::lifecycle::{PollLast, Tasks};
use crate::protocol::guarded_body::GuardedBody;
use crate::protocol::status::Response;
use crate::serve::config::ConnectionLimits;

pub(super) async fn serve_http1<H: Handler>(
    stream: CallerTls,
    peer: Peer,
    limits: &ConnectionLimits,
    tasks: &Tasks,
    heads: HeadBytes,
    handler: H,
) -> Result<(), ConnectionError> {
    let head = HeadLimits::of(peer.class(), limits);
    let shared = ConnectionService::new(peer.clone(), limits, handler);
    // The first for the service and the second for `drive`, which asks it how busy the connection is.
    let of_requests = Arc::clone(&shared);
    let (stream, open) = match peer.class() {
        // Its heads count for nothing: kube-apiserver is no stranger, and must never be closed for what strangers hold.
        PeerClass::FrontProxy => (CallerStream::Left(stream), None),
        PeerClass::Stranger => {
            let metered = Metered::new(stream, heads.clone());
            (CallerStream::Right(metered), Some(heads))
        }
    };
    let service = service_fn(move |request: http::Request<Incoming>| {
        let request = match &open {
            // Counting costs an allocation for each request, which the front proxy's do not need.
            None => request.map(Body::new),
            Some(heads) => {
                // The head is whole as the service is called; the guard goes with the body, whose bytes are no head.
                let open = heads.whole();
                request.map(|body| Body::new(GuardedBody::new(body, open)))
            }
        };
        let shared = Arc::clone(&of_requests);
        async move {
            let response = Arc::clone(&shared).respond(request).await;
            // Noted before hyper sends it: if it is never taken, the end of the connection says whose it was.
            shared.activity.responds_with(&response);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        // Twice the limits, so that a request above them is answered with a Status and not with hyper's bare 431.
        .max_headers(head.lines * 2)
        .max_buf_size(head.bytes as usize * 2)
        // Some backends of HTTP/1 tell names apart by their case.
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    drive(connection, &peer, limits, tasks, &shared.activity).await
}

pub(super) async fn serve_http2<H: Handler>(
    stream: CallerTls,
    peer: Peer,
    limits: &ConnectionLimits,
    tasks: &Tasks,
    handler: H,
) -> Result<(), ConnectionError> {
    let shared = ConnectionService::new(peer.clone(), limits, handler);
    let of_requests = Arc::clone(&shared);
    let service = move || {
        let shared = Arc::clone(&of_requests);
        move |request| shared.respond(request)
    };
    let bytes = HeadLimits::of(peer.class(), limits).bytes;
    let settings = http2::settings(peer.class(), limits, bytes);
    let turn = Turn::default();
    // Between TLS and h2, so that it sees what h2 writes and can hold what TLS would send.
    let stream = Corked::new(stream, turn.clone());
    let connection =
        http2::Connection::new(stream, turn, &settings, peer.address(), limits, service);
    // Requests of one connection often have their responses together; their responses leave in one write then.
    let connection = PollLast::new(connection);
    drive(connection, &peer, limits, tasks, &shared.activity).await
}

/// What the requests of one connection share.
#[derive(Debug)]
struct ConnectionService<H> {
    peer: Peer,
    activity: Activity,
    head: HeadLimits,
    handler: H,
}

impl<H: Handler> ConnectionService<H> {
    fn new(peer: Peer, limits: &ConnectionLimits, handler: H) -> Arc<Self> {
        Arc::new(Self {
            head: HeadLimits::of(peer.class(), limits),
            peer,
            activity: Activity::default(),
            handler,
        })
    }

    /// Responds to a request that keeps the limits, and counts it while it waits for its response.
    async fn respond(self: Arc<Self>, request: http::Request<Body>) -> Response {
        // Dropped when the response's head is there or the caller is gone, whichever is first.
        let _open = self.activity.begin();
        // Before the handler, so that what is too large is never passed on or logged.
        if !self.head.allow(request.headers()) {
            return self.head.refusal().into_response();
        }
        // On the heap: a request is passed from stage to stage, each of which would hold a copy of it.
        let request = Box::new(request);
        self.handler.handle(self.peer.clone(), request).await
    }
}

impl<S> GracefulConnection for http1::UpgradeableConnection<TokioIo<CallerStream>, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = Body, Error = Infallible>,
{
    type Failure = hyper::Error;

    fn end_in_order(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> GracefulConnection for http2::Connection<Corked<TcpStream>, S>
where
    Self: Future<Output = Result<(), ConnectionError>> + Unpin,
{
    type Failure = ConnectionError;

    fn end_in_order(self: Pin<&mut Self>) {
        self.get_mut().end_in_order();
    }
}

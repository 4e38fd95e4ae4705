//! One request and its response, streamed both ways over a pooled connection.
//!
//! An idle connection may have been closed by the API server just as a request went out. The request is then sent a
//! second time, over a new connection, in two cases only:
//!
//! | what is known | sent again |
//! |---|---|
//! | nothing of it was written | yes, whatever it is |
//! | something was written, no response came | if its method may be repeated and it has no body ([`repeatable`]) |
//! | a response came | no |
//!
//! RFC 9110 section 9.2.2; Go: `shouldRetryRequest` of `net/http/transport.go`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::uri::Authority;
use http::{Method, Uri, Version, header};
use http_body::Body as _;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::caller_body;
use super::client::Upstream;
use super::error::UpstreamError;
use super::pool::{MAX_STREAMS, PooledHttp1, PooledHttp2, UpstreamPool};
use super::response::{set_host, with_body};
use crate::local::api_server::{ConnectionPurpose, ServerConnection};
use crate::protocol::guarded_body::GuardedBody;
use crate::protocol::status::{Request, Response};

/// How often a silent HTTP/2 connection is asked whether it is alive, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// What HTTP/2 lets arrive before it is read: of one stream, as much as a fast line needs; of the connection, as much
/// of each, so that responses whose readers have stopped leave room for all others.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;

/// All headers of a response together.
const MAX_HEADER_BYTES: u32 = 1 << 20;

/// A connection for one request.
enum RequestConnection {
    Http2(PooledHttp2),
    Http1(PooledHttp1),
}

impl Upstream {
    /// Sends a request that asks for no upgrade. The caller sets `Host` if the API server is not to see its own name.
    pub(in crate::local) async fn send(
        &self,
        mut request: Request,
    ) -> Result<Response, UpstreamError> {
        // Before a connection is looked for, as a plugin may take a while and the connection would wait for it.
        let authority = self.authorize(&mut request).await?;
        // As over HTTP/1 until the connection is known; `send_on` turns it for HTTP/2.
        *request.version_mut() = Version::HTTP_11;
        let (parts, body) = request.into_parts();
        let (body, failure) = caller_body::watched(body);
        let request = Request::from_parts(parts, body);
        // One timeout over both attempts, so that a retry does not double it.
        let response = self
            .within_timeout(self.exchange(&authority, request))
            .await
            .map_err(|failed| match failed {
                // The connection broke because the body did: that is the caller's doing and no word on the API server.
                UpstreamError::Broken(_) if failure.happened() => UpstreamError::CallerGone,
                failed => failed,
            })?;
        self.note_status(&response);
        Ok(response)
    }

    async fn exchange(
        &self,
        authority: &Authority,
        request: Request,
    ) -> Result<Response, UpstreamError> {
        let Some(idle) = self.idle_connection() else {
            // Boxed, as most requests find a connection.
            let new = Box::pin(self.new_connection()).await?;
            let response = self.send_on(new, authority, request).await;
            return response.map_err(|failed| failed.error.into());
        };
        // Made before the request is given away.
        let copy = repeatable(&request);
        let failed = match self.send_on(idle, authority, request).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        // Unsent is sent again whatever it is; what was written goes again only as a copy that was allowed, and only if
        // no response came: a malformed one is a response.
        let copy = copy.filter(|_| !failed.error.is_parse());
        let Some(retry) = failed.unsent.or(copy) else {
            return Err(failed.error.into());
        };
        // A new connection and no other idle one: they may all have been closed at once.
        let new = Box::pin(self.new_connection()).await?;
        let response = self.send_on(new, authority, retry).await;
        response.map_err(|failed| failed.error.into())
    }

    fn idle_connection(&self) -> Option<RequestConnection> {
        // One reading of the generation for both kinds, so that they agree on which certificate is new.
        let generation = self.api.generation();
        let http2 = self.pool.http2(generation).map(RequestConnection::Http2);
        http2.or_else(|| self.pool.http1(generation).map(RequestConnection::Http1))
    }

    /// A new connection, or an HTTP/2 one that somebody else made meanwhile.
    async fn new_connection(&self) -> Result<RequestConnection, UpstreamError> {
        // One connects and the others wait, so that a page's first hundred requests share one HTTP/2 connection. Where
        // only HTTP/1 is spoken nothing can be shared, and nobody waits. A caller that goes away frees the lock.
        let _turn = if self.pool.speaks_http1() {
            None
        } else {
            let turn = self.pool.connecting.lock().await;
            // Looked at again under the lock: whoever held it may have made the very connection.
            if let Some(http2) = self.pool.http2(self.api.generation()) {
                return Ok(RequestConnection::Http2(http2));
            }
            Some(turn)
        };
        let ServerConnection {
            io,
            speaks_http2,
            generation,
        } = self.api.connect(ConnectionPurpose::Exchange).await?;
        if speaks_http2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(MAX_HEADER_BYTES)
                .handshake(TokioIo::new(io))
                .await?;
            // Driven before it is shared, as nothing moves on it otherwise.
            self.drive(connection);
            let http2 = self.pool.add_http2(sender, generation);
            return Ok(RequestConnection::Http2(http2));
        }
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEADER_BYTES as usize)
            .handshake(TokioIo::new(io))
            .await?;
        self.drive(connection);
        let http1 = self.pool.new_http1(sender, generation);
        Ok(RequestConnection::Http1(http1))
    }

    /// Runs a connection until it ends; without that nothing moves on it.
    pub(super) fn drive(
        &self,
        connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn_background(async move {
            if let Err(failed) = connection.await {
                tracing::debug!(error = %failed, "a connection to the API server broke");
            }
        });
    }

    async fn send_on(
        &self,
        connection: RequestConnection,
        authority: &Authority,
        mut request: Request,
    ) -> Result<Response, Box<FailedExchange>> {
        match connection {
            RequestConnection::Http2(mut http2) => {
                // HTTP/2 names scheme and host in fields of its own.
                request.headers_mut().remove(header::HOST);
                *request.uri_mut() = absolute(authority, request.uri());
                // Counted before the request goes out, so that the next one sees the stream as taken.
                let guard = http2.open_stream();
                let response = http2.sender.try_send_request(request).await;
                let response = response.map_err(|failed| FailedExchange::new(failed, authority))?;
                Ok(with_body(
                    response.map(|body| GuardedBody::new(body, guard)),
                ))
            }
            RequestConnection::Http1(mut http1) => {
                // When this future is dropped the connection is too, and is in no pool: its response would be the next
                // one's.
                let response = http1.sender.try_send_request(request).await;
                let response = response.map_err(|failed| FailedExchange::new(failed, authority))?;
                // Made only now: before the head there is nothing to give back but a connection in an unknown state.
                let guard = ReturnToPool {
                    connection: Some(http1),
                    pool: Arc::clone(&self.pool),
                };
                Ok(with_body(
                    response.map(|body| GuardedBody::new(body, guard)),
                ))
            }
        }
    }
}

/// A request that got no response.
struct FailedExchange {
    error: hyper::Error,
    /// The request, if nothing of it was written.
    unsent: Option<Request>,
}

impl FailedExchange {
    fn new(mut failed: TrySendError<Request>, authority: &Authority) -> Box<Self> {
        let unsent = failed.take_message().map(|mut request| {
            // Undone here, where it is known that nothing was written: the next connection may speak HTTP/1, which has
            // the host in a header.
            *request.uri_mut() = path_alone(request.uri());
            set_host(request.headers_mut(), authority);
            request
        });
        let error = failed.into_error();
        Box::new(Self { error, unsent })
    }
}

fn absolute(authority: &Authority, uri: &Uri) -> Uri {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let parts = Uri::builder().scheme("https").authority(authority.clone());
    // A path that HTTP/1 allows and an absolute URI does not is in no API.
    parts.path_and_query(path).build().unwrap_or_default()
}

fn path_alone(uri: &Uri) -> Uri {
    uri.path_and_query()
        .cloned()
        .map_or_else(Uri::default, Uri::from)
}

/// A copy of a request that may be sent twice: what Go's client repeats by itself, so that no app sees a change twice.
pub(in crate::local) fn repeatable(request: &Request) -> Option<Request> {
    let may_be_repeated = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    );
    if !may_be_repeated || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Body::empty());
    request.method().clone_into(copy.method_mut());
    request.uri().clone_into(copy.uri_mut());
    request.headers().clone_into(copy.headers_mut());
    Some(copy)
}

/// An HTTP/1 connection that carries a response, and goes back to the pool when the response is complete or its reader
/// is gone. hyper closes it in the second case, which the pool notices before it is used.
struct ReturnToPool {
    connection: Option<PooledHttp1>,
    pool: Arc<UpstreamPool>,
}

impl Drop for ReturnToPool {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Given back also when the reader is gone: hyper then closes it, and the pool notices before it is used.
            self.pool.give_back(connection);
        }
    }
}

//! One request and its answer, streamed both ways over a kept connection.
//!
//! A kept connection may have been closed just as a request went out. It is sent once more, over a new one: if nothing of it
//! was sent; or if no answer came, its method may be repeated and it has no body.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::uri::Authority;
use http::{Method, Uri, Version, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::pool::{Alone, MOST_STREAMS, Pool, Shared};
use super::{Upstream, UpstreamError, down, name_host, up};
use crate::local::api_server::{Connected, Purpose};
use crate::protocol::status::{Request, Response};

/// How often a silent HTTP/2 connection is asked whether it is alive, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_LIMIT: Duration = Duration::from_secs(5);

/// What HTTP/2 lets arrive before it is read: of one stream, as much as a fast line needs; of the connection, as much of each, so
/// that answers whose readers have stopped leave room for all others.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = MOST_STREAMS * STREAM_WINDOW;

/// All headers of an answer together.
const MAX_HEADER_BYTES: u32 = 1 << 20;

/// A connection for one request.
enum Connection {
    Shared(Shared),
    Alone(Alone),
}

impl Upstream {
    /// Sends a request that asks for no upgrade. `Host` is set by the caller if the API server is not to see its own.
    pub(in crate::local) async fn send(
        &self,
        mut request: Request,
    ) -> Result<Response, UpstreamError> {
        let authority = self.introduce(&mut request).await?;
        *request.version_mut() = Version::HTTP_11;
        let (parts, body) = request.into_parts();
        let (body, broke_off) = up::watched(body);
        let request = Request::from_parts(parts, body);
        let answer = self
            .within_limit(self.exchange(&authority, request))
            .await
            .map_err(|failed| match failed {
                UpstreamError::Broken(_) if broke_off.happened() => UpstreamError::CallerGone,
                failed => failed,
            })?;
        self.judge(&answer);
        Ok(answer)
    }

    async fn exchange(
        &self,
        authority: &Authority,
        request: Request,
    ) -> Result<Response, UpstreamError> {
        let Some(kept) = self.kept() else {
            // Boxed, as most requests find a connection.
            let made = Box::pin(self.connection()).await?;
            let answer = self.over(made, authority, request).await;
            return answer.map_err(|broken| broken.error.into());
        };
        let spare = repeatable(&request);
        let broken = match self.over(kept, authority, request).await {
            Ok(answer) => return Ok(answer),
            Err(broken) => broken,
        };
        let Some(again) = broken.unsent.or(spare) else {
            return Err(broken.error.into());
        };
        let made = Box::pin(self.connection()).await?;
        let answer = self.over(made, authority, again).await;
        answer.map_err(|broken| broken.error.into())
    }

    fn kept(&self) -> Option<Connection> {
        let generation = self.api.generation();
        let shared = self.pool.shared(generation).map(Connection::Shared);
        shared.or_else(|| self.pool.alone(generation).map(Connection::Alone))
    }

    /// A new connection, or the one that somebody else has just made.
    async fn connection(&self) -> Result<Connection, UpstreamError> {
        let _only_one = if self.pool.speaks_http1() {
            None
        } else {
            let guard = self.pool.dialling.lock().await;
            if let Some(shared) = self.pool.shared(self.api.generation()) {
                return Ok(Connection::Shared(shared));
            }
            Some(guard)
        };
        let Connected {
            io,
            speaks_http2,
            generation,
        } = self.api.connect(Purpose::Exchange).await?;
        if speaks_http2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_LIMIT)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(MAX_HEADER_BYTES)
                .handshake(TokioIo::new(io))
                .await?;
            self.drive(connection);
            return Ok(Connection::Shared(self.pool.share(sender, generation)));
        }
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEADER_BYTES as usize)
            .handshake(TokioIo::new(io))
            .await?;
        self.drive(connection);
        Ok(Connection::Alone(self.pool.own(sender, generation)))
    }

    pub(super) fn drive(
        &self,
        connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn_background(async move {
            if let Err(failed) = connection.await {
                tracing::debug!(error = %failed, "a connection to the API server broke off");
            }
        });
    }

    async fn over(
        &self,
        connection: Connection,
        authority: &Authority,
        mut request: Request,
    ) -> Result<Response, Box<Broken>> {
        match connection {
            Connection::Shared(mut shared) => {
                // HTTP/2 names scheme and host in the request's own fields.
                request.headers_mut().remove(header::HOST);
                *request.uri_mut() = absolute(authority, request.uri());
                let held = shared.enter();
                let answer = shared.sender.try_send_request(request).await;
                let answer = answer.map_err(|broken| Broken::new(broken, authority))?;
                Ok(down(answer.map(|body| Held { body, _held: held })))
            }
            Connection::Alone(mut alone) => {
                let answer = alone.sender.try_send_request(request).await;
                let answer = answer.map_err(|broken| Broken::new(broken, authority))?;
                let held = OnTurn {
                    alone: Some(alone),
                    pool: Arc::clone(&self.pool),
                };
                Ok(down(answer.map(|body| Held { body, _held: held })))
            }
        }
    }
}

/// A request that got no answer.
struct Broken {
    error: hyper::Error,
    /// The request, if nothing of it was sent.
    unsent: Option<Request>,
}

impl Broken {
    fn new(mut broken: TrySendError<Request>, authority: &Authority) -> Box<Self> {
        let unsent = broken.take_message().map(|mut request| {
            // The next connection may speak HTTP/1, which has the host in a header.
            *request.uri_mut() = path_alone(request.uri());
            name_host(request.headers_mut(), authority);
            request
        });
        let error = broken.into_error();
        Box::new(Self { error, unsent })
    }
}

fn absolute(authority: &Authority, uri: &Uri) -> Uri {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let parts = Uri::builder().scheme("https").authority(authority.clone());
    // A path that HTTP/1 had and an absolute URI can't have is none of an API's.
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

/// An HTTP/1 connection that carries an answer, and goes back to the others when it has come whole.
struct OnTurn {
    alone: Option<Alone>,
    pool: Arc<Pool>,
}

impl Drop for OnTurn {
    fn drop(&mut self) {
        if let Some(alone) = self.alone.take() {
            self.pool.give_back(alone);
        }
    }
}

/// A body, and what is held until it has come whole or its reader is gone.
struct Held<H> {
    body: Incoming,
    _held: H,
}

impl<H: Unpin> http_body::Body for Held<H> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

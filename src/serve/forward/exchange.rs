//! One request and its answer, streamed both ways.
//!
//! A kept connection may have been closed by its backend just as the request went out. Then, and only then, it is sent
//! once more: if nothing of it was sent; or if no byte of an answer came, the method may be repeated and there is no body.
//! An HTTP/2 backend may also say itself that it has not begun with a request (RFC 9113 section 8.7).

use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper_util::rt::TokioIo;

use super::body::{Down, Lease, Up};
use super::transport::connection::{
    Spelling, as_http1, as_http2, http1_settings, http2_settings, is_malformed, is_refused,
};
use super::transport::connector::{Dialled, Purpose, UNACKNOWLEDGED_LIMIT};
use super::transport::io::Received;
use super::transport::pool::{Http1, Http2, Kept, Key, Return};
use super::transport::streams::StreamPlace;
use super::{Forward, ForwardError, Forwarded, Sender, expect, headers};
use crate::protocol::hop_by_hop;
use crate::protocol::status;
use crate::serve::cluster::Prefix;
use crate::serve::destination::Scheme;
use crate::serve::endpoint::{Endpoint, EndpointOrder};
use crate::serve::request_context::RequestContext;

/// What one request is to do, whatever connection it goes over.
#[derive(Clone, Copy)]
struct Errand<'a> {
    context: &'a Arc<RequestContext>,
    choice: &'a EndpointOrder,
    spelling: Spelling,
}

/// What came of one attempt.
struct Attempt {
    answer: http::Response<Incoming>,
    endpoint: Endpoint,
    connection: Lease,
}

impl Attempt {
    /// Whether the backend gave up waiting for a request just as this one went out (RFC 9110 section 15.5.9).
    fn is_of_an_idle_connection(&self) -> bool {
        self.answer.status() == StatusCode::REQUEST_TIMEOUT
            && matches!(self.connection, Lease::Http1(_))
    }
}

/// An attempt over a connection that broke; on the heap, as it seldom comes to that.
struct Broken {
    failed: ForwardError,
    /// The request, if nothing of it was sent: then it may go out again whatever it is.
    unsent: Option<Request<Up>>,
    /// No byte of an answer came, or the backend said that it has not begun: what may be repeated may go out again.
    not_begun: bool,
}

impl Broken {
    fn new(
        endpoint: &Endpoint,
        received: &Received,
        mut broken: TrySendError<Request<Up>>,
    ) -> Box<Self> {
        Box::new(Self {
            unsent: broken.take_message(),
            failed: failed(*endpoint.address, received, broken.into_error()),
            not_begun: false,
        })
    }

    /// The request to send again, if it may be: as it is, or its copy.
    fn again(self: Box<Self>, copy: Option<Request<Up>>) -> Result<Request<Up>, ForwardError> {
        let copy = copy.filter(|_| self.not_begun);
        self.unsent.or(copy).ok_or(self.failed)
    }

    /// No answer will come, and nobody knows how far the backend is.
    fn late(failed: ForwardError) -> Box<Self> {
        Box::new(Self {
            failed,
            unsent: None,
            not_begun: false,
        })
    }
}

impl Forward {
    pub(super) async fn exchange(
        &self,
        sender: Sender<'_>,
        choice: EndpointOrder,
        request: Box<status::Request>,
    ) -> Result<Forwarded, ForwardError> {
        let errand = Errand {
            context: sender.context,
            choice: &choice,
            spelling: Spelling::seen_in(request.version()),
        };
        let request = self.outgoing(sender, &choice.first, request)?;
        let attempt = self.attempt(errand, request).await?;
        let Attempt {
            answer,
            endpoint,
            connection,
        } = attempt;
        // Passed on, it would make the caller take what follows for a tunnel.
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(ForwardError::UpgradeProtocol);
        }
        let (mut parts, body) = answer.into_parts();
        hop_by_hop::remove(&mut parts.headers);
        parts.version = Version::HTTP_11;
        let down = Down::new(body, Arc::clone(sender.context), Some(connection));
        let body = match parts.status {
            // They have no body. Go's HTTP/2 client would wait for as many bytes as they say, and h2 takes the piece of no bytes
            // that some backends end them with for one that is too short.
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => {
                parts.headers.remove(http::header::CONTENT_LENGTH);
                Body::empty()
            }
            _ => Body::new(down),
        };
        Ok(Forwarded {
            response: status::Response::from_parts(parts, body),
            endpoint,
        })
    }

    /// The request as the backend gets it, whatever connection it goes over.
    pub(super) fn outgoing(
        &self,
        sender: Sender<'_>,
        endpoint: &Endpoint,
        request: Box<status::Request>,
    ) -> Result<Request<Up>, ForwardError> {
        let (mut parts, body) = request.into_parts();
        let of_caller = self
            .logins
            .authorization(sender.permit, sender.client, &parts.headers);
        let authorization = match endpoint.scheme {
            Scheme::Kubelet => Some(self.dialer.kubelet.authorization()?),
            Scheme::Http | Scheme::Https => of_caller,
        };
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        parts.headers =
            headers::to_backend(sender, endpoint, authority, parts.headers, authorization);
        parts.uri = inside(sender, endpoint)?;
        parts.version = Version::HTTP_11;
        let mut request = Request::from_parts(parts, body);
        let gate = expect::gate(&mut request);
        Ok(request.map(|body| Up::new(body, Arc::clone(sender.context), gate)))
    }

    async fn attempt(
        &self,
        errand: Errand<'_>,
        request: Request<Up>,
    ) -> Result<Attempt, ForwardError> {
        let (context, endpoint) = (errand.context, &errand.choice.first);
        let key = Key::new(endpoint, self.trust(endpoint.scheme), errand.spelling);
        let Some(kept) = self.pool.take(&key) else {
            return Box::pin(self.over_a_new_connection(errand, request)).await;
        };
        let spare = repeatable(&request, context);
        let tried = match kept {
            Kept::Http1(kept) => self.over_http1(context, kept, endpoint, request).await,
            Kept::Http2(kept, place) => {
                let tried = kept.clone();
                let attempt = self.over_http2(context, kept, place, endpoint, request);
                let attempt = attempt.await;
                if attempt.as_ref().is_err_and(|broken| broken.not_begun) {
                    // It refuses streams or is going away. Those that are open on it go on.
                    self.pool.forget(&key, &tried);
                }
                attempt
            }
        };
        let again = match (tried, spare) {
            (Ok(attempt), Some(spare)) if attempt.is_of_an_idle_connection() => spare,
            (Ok(attempt), _) => return Ok(attempt),
            (Err(broken), spare) => broken.again(spare)?,
        };
        context.metrics().retried();
        Box::pin(self.over_a_new_connection(errand, again)).await
    }

    async fn over_a_new_connection(
        &self,
        errand: Errand<'_>,
        request: Request<Up>,
    ) -> Result<Attempt, ForwardError> {
        let context = errand.context;
        let trust = self.trust(errand.choice.first.scheme);
        let Dialled {
            io,
            endpoint,
            speaks_http2,
        } = self.dialer.dial(errand.choice, Purpose::Exchange).await?;
        context.metrics().connected();
        let address = *endpoint.address;
        let key = Key::new(&endpoint, trust, errand.spelling);
        let received = io.received();
        if !speaks_http2 {
            let (sender, connection) = http1_settings(errand.spelling)
                .handshake(TokioIo::new(io))
                .await
                .map_err(|cause| ForwardError::Closed {
                    address,
                    cause: Arc::new(cause),
                })?;
            self.drive(connection);
            let connection = Http1 {
                key,
                sender,
                received,
            };
            let attempt = self
                .over_http1(context, connection, &endpoint, request)
                .await;
            return attempt.map_err(|broken| broken.failed);
        }
        let (sender, connection) = http2_settings()
            .handshake(TokioIo::new(io.speaking_http2()))
            .await
            .map_err(|cause| ForwardError::Closed {
                address,
                cause: Arc::new(cause),
            })?;
        let (shared, place) = Http2::new(sender, Arc::clone(&received));
        let streams = shared.streams();
        self.drive(async move {
            let mut connection = connection;
            std::future::poll_fn(|context| {
                let polled = Pin::new(&mut connection).poll(context);
                streams.allow(connection.current_max_send_streams());
                polled
            })
            .await
        });
        self.pool.share(key, shared.clone());
        let attempt = self
            .over_http2(context, shared, place, &endpoint, request)
            .await;
        attempt.map_err(|broken| match received.alert() {
            Some(alert) => ForwardError::TlsAlert { address, alert },
            None => broken.failed,
        })
    }

    /// The connection's own task. It ends with the connection, and is cut only after everything else has ended.
    fn drive(&self, connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) {
        self.tasks.spawn_background(async move {
            if let Err(failed) = connection.await {
                tracing::debug!(error = %failed, "a connection to a backend broke off");
            }
        });
    }

    async fn over_http1(
        &self,
        context: &RequestContext,
        mut connection: Http1,
        endpoint: &Endpoint,
        request: Request<Up>,
    ) -> Result<Attempt, Box<Broken>> {
        let before = connection.received.bytes();
        connection.received.expect_answer();
        let taken = request.body().taken();
        let answer = connection.sender.try_send_request(request);
        match self.within_limit(context, endpoint, taken, answer).await {
            Ok(Ok(answer)) => {
                connection.received.answered();
                let back = Return::new(Arc::clone(&self.pool), connection);
                Ok(Attempt {
                    answer,
                    endpoint: endpoint.clone(),
                    connection: Lease::Http1(back),
                })
            }
            Ok(Err(broken)) => {
                let received = &connection.received;
                let mut broken = Broken::new(endpoint, received, broken);
                let is_closed = matches!(
                    broken.failed,
                    ForwardError::Closed { .. } | ForwardError::Unacknowledged { .. }
                );
                broken.not_begun = is_closed && received.bytes() == before;
                Err(broken)
            }
            Err(late) => Err(Broken::late(late)),
        }
    }

    async fn over_http2(
        &self,
        context: &RequestContext,
        mut connection: Http2,
        place: StreamPlace,
        endpoint: &Endpoint,
        mut request: Request<Up>,
    ) -> Result<Attempt, Box<Broken>> {
        as_http2(&mut request).map_err(Broken::late)?;
        let taken = request.body().taken();
        if taken.is_some() {
            let counted_on = Arc::clone(connection.received());
            request.body_mut().count_on(counted_on);
        }
        let answer = connection.sender.try_send_request(request);
        match self.within_limit(context, endpoint, taken, answer).await {
            Ok(Ok(answer)) => {
                place.passed();
                Ok(Attempt {
                    answer,
                    endpoint: endpoint.clone(),
                    connection: Lease::Http2(place),
                })
            }
            Ok(Err(broken)) => {
                let received = connection.received();
                let not_begun = is_refused(broken.error()) && !received.is_flood();
                let mut broken = Broken::new(endpoint, received, broken);
                if let Some(unsent) = &mut broken.unsent {
                    as_http1(unsent);
                }
                broken.not_begun = not_begun;
                Err(broken)
            }
            Err(late) => Err(Broken::late(late)),
        }
    }

    /// Which roots hold now for a connection in this scheme. Asked before the connection is made: one that was made under
    /// roots that are withdrawn meanwhile is then found by nobody.
    fn trust(&self, scheme: Scheme) -> u64 {
        match scheme {
            Scheme::Kubelet => self.dialer.kubelet.trust_id(),
            Scheme::Http | Scheme::Https => 0,
        }
    }
}

/// Path and query as they were sent: those inside the target, or the whole for an app that knows its prefix. At an origin of
/// its own there is none to know.
pub(super) fn inside(sender: Sender<'_>, endpoint: &Endpoint) -> Result<Uri, ForwardError> {
    let asked = sender.permit.info();
    let is_whole = endpoint.settings.prefix == Prefix::Keep && sender.client.own_origin.is_none();
    let path = match asked.path_inside() {
        _ if is_whole => asked.uri().path(),
        "" => "/",
        path => path,
    };
    let text = match asked.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    Uri::try_from(text).map_err(|_| ForwardError::Unsendable)
}

/// A copy of a request that may be sent twice.
fn repeatable(request: &Request<Up>, context: &Arc<RequestContext>) -> Option<Request<Up>> {
    let may_be_repeated = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    );
    if !may_be_repeated || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Up::empty(Arc::clone(context)));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

pub(super) fn failed(
    address: std::net::SocketAddr,
    received: &Received,
    cause: hyper::Error,
) -> ForwardError {
    let cause_is_a_body = cause.is_user();
    if received.is_flood() {
        ForwardError::NoAnswer { address }
    } else if received.looks_like_tls() {
        ForwardError::Tls { address }
    } else if let Some(alert) = received.alert() {
        ForwardError::TlsAlert { address, alert }
    } else if cause_is_a_body {
        ForwardError::CallerGone(Arc::new(cause))
    } else if cause.is_parse_too_large() {
        ForwardError::HeadTooLarge { address }
    } else if cause.is_parse() || is_malformed(&cause) {
        ForwardError::Malformed {
            address,
            cause: Arc::new(cause),
        }
    } else if is_timeout_of_socket(&cause) {
        ForwardError::Unacknowledged {
            address,
            limit: UNACKNOWLEDGED_LIMIT,
        }
    } else {
        ForwardError::Closed {
            address,
            cause: Arc::new(cause),
        }
    }
}

fn is_timeout_of_socket(failed: &hyper::Error) -> bool {
    let mut cause = failed.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::TimedOut;
        }
        cause = error.source();
    }
    false
}

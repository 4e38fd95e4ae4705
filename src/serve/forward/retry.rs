//! Whether a request is sent a second time. In: how an attempt over a pooled connection failed. Out: what may be sent
//! again.
//!
//! A pooled connection may have been closed by its backend just as the request went out. The second attempt goes over a
//! new connection, and there is no third. A connection that was made for the request is never a reason for a retry.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, Request};
use hyper::client::conn::TrySendError;

use super::error::ForwardError;
use super::transport::connection::{as_http1, is_refused};
use super::transport::io::IoState;
use super::transport::request_body::RequestBody;
use crate::serve::request_context::RequestContext;

/// How far the backend may be with a request whose attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing of the request was sent: the connection was closed before its turn came.
    Unsent,
    /// The HTTP/1 connection ended, and not a byte had come since the request went out.
    ClosedWithoutResponse,
    /// The HTTP/2 backend refused the stream, is going away, or is gone.
    NotProcessed,
    /// The backend gave up waiting for a request (408) just as this one went out.
    IdleTimeout,
    /// Anything else: the backend may have acted on the request.
    Unknown,
}

/// What may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// The request itself, whatever its method, with its body.
    Request,
    /// The copy, which only an idempotent request without a body has.
    Copy,
    Nothing,
}

/// The rule.
///
/// | how the attempt failed | any request | idempotent and without a body | why |
/// |---|---|---|---|
/// | unsent | again | again | RFC 9110 section 9.2.2: it is known that the request was never applied |
/// | closed without a response | no | again | RFC 9110 section 9.2.2, RFC 9112 section 9.3.1: the backend may have applied it, and twice is as good as once |
/// | not processed (`REFUSED_STREAM`, `GOAWAY`) | no | again | RFC 9113 section 8.7 allows all; the body of the others is on its way and nobody has a copy |
/// | 408 on a pooled connection | no: the 408 goes to the caller | again | RFC 9110 section 15.5.9: the client may repeat the request on a new connection |
/// | unknown: a timeout, a malformed response, a flood, TLS, the caller's own body | no | no | an error says more than a second attempt would |
pub(super) fn may_retry(failure: Failure) -> Retry {
    match failure {
        Failure::Unsent => Retry::Request,
        Failure::ClosedWithoutResponse | Failure::NotProcessed | Failure::IdleTimeout => {
            Retry::Copy
        }
        Failure::Unknown => Retry::Nothing,
    }
}

/// The copy of a request that may be sent twice. It is made before the first attempt, as the request is gone with that.
pub(super) fn retry_copy(
    request: &Request<RequestBody>,
    context: &Arc<RequestContext>,
) -> Option<Request<RequestBody>> {
    // RFC 9110 section 9.2.2; TRACE is left out, as nobody needs it.
    let is_idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    );
    // A body is a stream that the first attempt may have drained, and to keep a copy would mean to hold uploads in
    // memory.
    if !is_idempotent || !http_body::Body::is_end_stream(request.body()) {
        return None;
    }
    // Without the gate for `Expect`: there is no body that could wait behind it.
    let mut copy = Request::new(RequestBody::empty(Arc::clone(context)));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    // hyper keeps the spelling of the headers' names there, and the second attempt has to have the same.
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

/// An attempt without a response. On the heap, as it seldom comes to that.
#[derive(Debug)]
pub(super) struct FailedAttempt {
    pub(super) error: ForwardError,
    pub(super) failure: Failure,
    /// The request, if it was not sent.
    unsent: Option<Request<RequestBody>>,
}

impl FailedAttempt {
    /// Nothing is known of how far the backend is.
    pub(super) fn unknown(error: ForwardError) -> Box<Self> {
        Box::new(Self {
            error,
            failure: Failure::Unknown,
            unsent: None,
        })
    }

    /// `received_before` is how many bytes had come when the request went out.
    pub(super) fn over_http1(
        mut failed: TrySendError<Request<RequestBody>>,
        address: SocketAddr,
        state: &IoState,
        received_before: u64,
    ) -> Box<Self> {
        // hyper gives the request back only if it never reached the connection's task, so then any method may be sent
        // again.
        let unsent = failed.take_message();
        let error = ForwardError::of_exchange(address, state, failed.into_error());
        // The error is read for its kind before the count: a malformed response has bytes, and a closed one may have
        // none.
        let is_closed = matches!(
            error,
            ForwardError::Closed { .. } | ForwardError::Unacknowledged { .. }
        );
        let failure = if unsent.is_some() {
            Failure::Unsent
        // A single byte means that the backend had begun to respond, so it had acted.
        } else if is_closed && state.bytes() == received_before {
            Failure::ClosedWithoutResponse
        } else {
            Failure::Unknown
        };
        Box::new(Self {
            error,
            failure,
            unsent,
        })
    }

    pub(super) fn over_http2(
        mut failed: TrySendError<Request<RequestBody>>,
        address: SocketAddr,
        state: &IoState,
    ) -> Box<Self> {
        let mut unsent = failed.take_message();
        if let Some(request) = &mut unsent {
            // The new connection may speak HTTP/1.
            as_http1(request);
        }
        let failure = if unsent.is_some() {
            Failure::Unsent
        // That the connection was ended here says that the backend misbehaved, and a second connection would invite the
        // same again.
        } else if is_refused(failed.error()) && !state.is_flood() {
            // A connection that this server ended for a flood looks like one that its backend ended.
            Failure::NotProcessed
        } else {
            Failure::Unknown
        };
        Box::new(Self {
            error: ForwardError::of_exchange(address, state, failed.into_error()),
            failure,
            unsent,
        })
    }

    /// The request for the second attempt, or why there is none.
    pub(super) fn retry(
        self: Box<Self>,
        copy: Option<Request<RequestBody>>,
    ) -> Result<Request<RequestBody>, ForwardError> {
        let again = match may_retry(self.failure) {
            Retry::Request => self.unsent,
            Retry::Copy => copy,
            Retry::Nothing => None,
        };
        again.ok_or(self.error)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn copy_of(method: &str, body: &'static str) -> Option<Request<RequestBody>> {
        let body = axum::body::Body::from(body);
        let body = RequestBody::new(body, RequestContext::for_tests(), None, |_| true);
        let mut request = Request::new(body);
        *request.method_mut() = method.parse().unwrap();
        retry_copy(&request, &RequestContext::for_tests())
    }

    #[test]
    fn idempotent_requests_without_a_body_alone_have_a_copy() {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
            assert!(copy_of(method, "").is_some(), "{method}");
            assert!(copy_of(method, "body").is_none(), "{method} with a body");
        }
        for method in ["POST", "PATCH", "CONNECT", "TRACE", "PROPFIND"] {
            assert!(copy_of(method, "").is_none(), "{method}");
        }
    }

    #[tokio::test]
    async fn what_goes_again_is_the_request_if_it_was_not_sent_and_else_at_most_the_copy() {
        let request = |body: &'static str| {
            let body = axum::body::Body::from(body);
            Request::new(RequestBody::new(
                body,
                RequestContext::for_tests(),
                None,
                |_| true,
            ))
        };
        for (failure, expected) in [
            (Failure::Unsent, Some("whole")),
            (Failure::ClosedWithoutResponse, Some("copy")),
            (Failure::NotProcessed, Some("copy")),
            (Failure::IdleTimeout, Some("copy")),
            (Failure::Unknown, None),
        ] {
            let failed = Box::new(FailedAttempt {
                error: ForwardError::Unsendable,
                failure,
                unsent: (failure == Failure::Unsent).then(|| request("whole")),
            });
            let again = failed.retry(Some(request("copy"))).ok();
            let sent = match again {
                Some(again) => Some(again.into_body().collect().await.unwrap().to_bytes()),
                None => None,
            };
            assert_eq!(sent.as_deref(), expected.map(str::as_bytes), "{failure:?}");
        }
    }
}

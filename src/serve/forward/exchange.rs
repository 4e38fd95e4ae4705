//! One request and its response, streamed both ways.
//!
//! In: a request as it came, and the endpoints that may get it. Out: the response of one of them. It goes over a pooled
//! connection if there is one; whether it is sent once more when that breaks is decided in [`super::retry`].

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::response_body::to_caller;
use super::retry::{self, FailedAttempt, Failure, Retry, may_retry};
use super::transport::connection::{HeaderCase, Http1Connection, Http2Connection, as_http2};
use super::transport::connector::{NewConnection, Purpose};
use super::transport::handshake;
use super::transport::pool::{Lease, PoolKey, PooledConnection, Reusable};
use super::transport::request_body::RequestBody;
use super::transport::streams::StreamSlot;
use super::{Forward, ForwardContext, ForwardError, Forwarded};
use crate::protocol::status;
use crate::serve::destination::Scheme;
use crate::serve::endpoint::{Endpoint, EndpointOrder};
use crate::serve::request_context::RequestContext;

/// One request on its way out, whatever connection it goes over.
#[derive(Clone, Copy)]
struct Outgoing<'a> {
    forward: &'a Forward,
    request_context: &'a Arc<RequestContext>,
    endpoints: &'a EndpointOrder<'a>,
    header_case: HeaderCase,
}

/// A response whose head is there.
struct Attempt {
    response: http::Response<Incoming>,
    endpoint: Endpoint,
    lease: Lease,
}

impl Forward {
    pub(super) async fn exchange<'p>(
        &self,
        context: ForwardContext<'_>,
        endpoints: EndpointOrder<'p>,
        request: Box<status::Request>,
    ) -> Result<Forwarded<'p>, ForwardError> {
        let outgoing = Outgoing {
            forward: self,
            request_context: context.request_context,
            endpoints: &endpoints,
            header_case: HeaderCase::of(request.version()),
        };
        // Made before a connection is taken, so that a request that can't be sent on costs none.
        let (request, login) = self.outgoing_request(context, endpoints.first(), request)?;
        let attempt = outgoing.send(request).await?;
        // Passed on, it would make the caller take what follows for a tunnel.
        if attempt.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(ForwardError::UpgradeProtocol);
        }
        Ok(Forwarded {
            permit: endpoints.permit(),
            endpoint: attempt.endpoint,
            login,
            response: to_caller(attempt.response, context.request_context, attempt.lease),
        })
    }
}

impl Attempt {
    /// Why this response is one that a retry may mend.
    fn failure(&self) -> Option<Failure> {
        // HTTP/2 has no idle connection that a 408 could be about: there it is the backend's word on this one request,
        // and is passed on.
        let gave_up_waiting = self.response.status() == StatusCode::REQUEST_TIMEOUT
            && matches!(self.lease, Lease::Http1(_));
        gave_up_waiting.then_some(Failure::IdleTimeout)
    }
}

impl Outgoing<'_> {
    /// Sends the request over a pooled connection, and over a new one where there is none or where it broke.
    async fn send(self, request: Request<RequestBody>) -> Result<Attempt, ForwardError> {
        let key = self.key();
        let Some(connection) = self.forward.pool.take(&key) else {
            // On the heap, as most requests find a connection and their futures are moved as a whole.
            return Box::pin(self.over_new_connection(request)).await;
        };
        // Made before the attempt, as hyper takes the request with it and gives it back only if nothing of it was sent.
        let copy = retry::retry_copy(&request, self.request_context);
        let again = match self.over_pooled(key, connection, request).await {
            Ok(attempt) => match (attempt.failure().map(may_retry), copy) {
                // The 408 is dropped here, and its connection with it: the backend was about to close that.
                (Some(Retry::Copy), Some(copy)) => copy,
                _ => return Ok(attempt),
            },
            // Without a copy or an unsent request the first error is the one that the caller is told.
            Err(failed) => failed.retry(copy)?,
        };
        // Straight to a new connection: the next pooled one may have been closed by the same backend at the same time.
        self.request_context.metrics().retried();
        Box::pin(self.over_new_connection(again)).await
    }

    /// To be asked before the connection is made: one that was made under roots that are withdrawn meanwhile is then
    /// found by nobody.
    fn key(self) -> PoolKey {
        let endpoint = self.endpoints.first();
        let trust = match endpoint.scheme {
            Scheme::Kubelet => self.forward.connector.kubelet.trust_id(),
            Scheme::Http | Scheme::Https => 0,
        };
        PoolKey::new(endpoint, trust, self.header_case)
    }

    async fn over_pooled(
        self,
        key: PoolKey,
        connection: Reusable,
        request: Request<RequestBody>,
    ) -> Result<Attempt, Box<FailedAttempt>> {
        let endpoint = self.endpoints.first();
        match connection {
            Reusable::Http1(connection) => {
                self.over_http1(key, connection, endpoint, request).await
            }
            Reusable::Http2(connection, slot) => {
                // The handle moves into the attempt, and the pool needs one to know which connection it is to forget.
                let tried = connection.clone();
                let attempt = self.over_http2(connection, slot, endpoint, request).await;
                if let Err(failed) = &attempt
                    && matches!(failed.failure, Failure::Unsent | Failure::NotProcessed)
                {
                    // It refuses streams or is going away. Those that are open on it go on.
                    self.forward.pool.forget(&key, &tried);
                }
                attempt
            }
        }
    }

    async fn over_new_connection(
        self,
        request: Request<RequestBody>,
    ) -> Result<Attempt, ForwardError> {
        let Forward {
            connector,
            pool,
            tasks,
            ..
        } = self.forward;
        // Before the connection is made; see `key`.
        let key = self.key();
        let NewConnection {
            io,
            endpoint,
            speaks_http2,
            // Others of the same destination are tried in here, so one endpoint that refuses is no reason for a retry
            // out there.
        } = connector.connect(self.endpoints, Purpose::Exchange).await?;
        self.request_context.metrics().connected();
        // The same trust, and the endpoint that let itself be connected to.
        let key = key.at(&endpoint);
        let closed = |cause| ForwardError::closed(*endpoint.address, cause);
        if !speaks_http2 {
            let connection = handshake::http1(io, self.header_case, tasks).await;
            let connection = connection.map_err(closed)?;
            let attempt = self.over_http1(key, connection, &endpoint, request).await;
            // A connection made for this request has no race with an idle timeout, so what failed on it is not sent
            // again.
            return attempt.map_err(|failed| failed.error);
        }
        let (connection, slot) = handshake::http2(io, tasks).await.map_err(closed)?;
        let state = Arc::clone(connection.state());
        // Shared before its first response, so that requests which come meanwhile do not make one each.
        pool.share(key, connection.clone());
        let attempt = self.over_http2(connection, slot, &endpoint, request).await;
        attempt.map_err(|failed| match state.alert() {
            // In TLS 1.3 the backend refuses a handshake only after it is over here, so the first request meets it.
            Some(alert) => ForwardError::TlsAlert {
                address: *endpoint.address,
                alert,
            },
            None => failed.error,
        })
    }

    async fn over_http1(
        self,
        key: PoolKey,
        mut connection: Http1Connection,
        endpoint: &Endpoint,
        request: Request<RequestBody>,
    ) -> Result<Attempt, Box<FailedAttempt>> {
        // Bytes of earlier exchanges are in the count, so only its growth says whether anything came for this request.
        let received_before = connection.state.bytes();
        // Set before the request is handed over: the task of the connection may read the response before this one runs
        // again.
        connection.state.expect_response();
        let backpressure = request.body().backpressure();
        let response = connection.requests.try_send_request(request);
        let response = self
            .forward
            // A timeout drops the response's future, and with it hyper gives the exchange up: the connection
            // closes, and is in no pool.
            .within_timeouts(self.request_context, endpoint, backpressure, response);
        match response.await {
            Ok(Ok(response)) => {
                // From here on what comes is the body, which flows as fast as the caller reads; the bound was for the
                // head.
                connection.state.response_arrived();
                let pool = Arc::clone(&self.forward.pool);
                Ok(Attempt {
                    response,
                    endpoint: endpoint.clone(),
                    lease: Lease::Http1(PooledConnection::new(pool, key, connection)),
                })
            }
            Ok(Err(failed)) => Err(FailedAttempt::over_http1(
                failed,
                *endpoint.address,
                &connection.state,
                received_before,
            )),
            // The backend may be at work on it still, so silence is never a reason to ask twice.
            Err(timeout) => Err(FailedAttempt::unknown(timeout)),
        }
    }

    async fn over_http2(
        self,
        mut connection: Http2Connection,
        slot: StreamSlot,
        endpoint: &Endpoint,
        mut request: Request<RequestBody>,
    ) -> Result<Attempt, Box<FailedAttempt>> {
        // No authority can be made of the host, so it is no fault of the connection, and another one would not help.
        as_http2(&mut request).ok_or_else(|| FailedAttempt::unknown(ForwardError::Unsendable))?;
        let backpressure = request.body().backpressure();
        if backpressure.is_some() {
            // Pieces of an upload that go on are progress too; without them a long upload would look like a flood of
            // window updates.
            let counted_on = Arc::clone(connection.state());
            request.body_mut().count_on(counted_on);
        }
        let response = connection.requests.try_send_request(request);
        let response =
            self.forward
                .within_timeouts(self.request_context, endpoint, backpressure, response);
        match response.await {
            Ok(Ok(response)) => {
                // The head counts as progress, so that many small responses without bodies do not add up to a flood.
                slot.passed();
                Ok(Attempt {
                    response,
                    endpoint: endpoint.clone(),
                    lease: Lease::Http2(slot),
                })
            }
            Ok(Err(failed)) => Err(FailedAttempt::over_http2(
                failed,
                *endpoint.address,
                connection.state(),
            )),
            Err(timeout) => Err(FailedAttempt::unknown(timeout)),
        }
    }
}

//! Upgrades: a tunnel after a 101 with the protocol that was asked for, and in no other case.
//!
//! A tunnel lets anything pass, so it must never be open to a backend that did not agree to it (CVE-2018-1002105), and
//! no redirect is followed with it (CVE-2020-8559). `Connection` is read as tokens; only protocols that are known to be
//! safe are tunnelled; `h2c` is an offer that may be ignored, and is.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::response_body::ResponseBody;
use super::transport::connector::{NewConnection, Purpose};
use super::transport::handshake;
use super::transport::io::IoState;
use super::tunnel::reauthorization::Reauthorization;
use super::tunnel::{self, Protocol};
use super::{Forward, ForwardContext, ForwardError, Forwarded};
use crate::protocol::hop_by_hop;
use crate::protocol::status::{Request, Response};
use crate::serve::endpoint::{Endpoint, EndpointOrder};
use crate::serve::fairness::Slot;

impl Forward {
    pub(super) async fn upgrade<'p>(
        &self,
        context: ForwardContext<'_>,
        endpoints: EndpointOrder<'p>,
        mut request: Box<Request>,
        protocol: Protocol,
    ) -> Result<Forwarded<'p>, ForwardError> {
        // Before anything is dialled: a caller without a slot costs no backend a connection.
        let slot = self.tunnels.take(
            context.permit.slot_owner(),
            &context.permit.info().namespace,
        )?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that joins upgraded connections"
        )]
        // Taken before the request is turned into the backend's: it is bound to the caller's connection through the
        // request itself.
        let caller = hyper::upgrade::on(&mut *request);
        let NewConnection { io, endpoint, .. } =
            self.connector.connect(&endpoints, Purpose::Upgrade).await?;
        context.request_context.metrics().connected();
        let connection = handshake::http1_with_upgrades(io, &self.tasks).await;
        let (mut requests, state) =
            connection.map_err(|cause| ForwardError::closed(*endpoint.address, cause))?;
        let (request, login) = self.upgrade_request(context, &endpoint, request, protocol)?;
        // No retry here: the connection was made for this request, and the caller's side is bound to it.
        let response = requests.send_request(request);
        let response = self.head(context, &endpoint, &state, response);
        let mut response = response.await?;
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => {}
            // The backend's own words reach the caller, as with any other request; only the way of saying it is ours.
            status if status.as_u16() >= 400 => {
                return Ok(Forwarded {
                    permit: endpoints.permit(),
                    endpoint,
                    login,
                    response: refused(context, response),
                });
            }
            // A 200 or a redirect to an upgrade has no meaning that could be passed on, and following one would be
            // CVE-2020-8559.
            status => return Err(ForwardError::UpgradeResponse(status.as_u16())),
        }
        let agreed =
            hop_by_hop::tokens(response.headers(), &header::UPGRADE).find_map(Protocol::parse);
        // A backend that switches to something else would have a tunnel that nobody asked for.
        if agreed != Some(protocol) {
            return Err(ForwardError::UpgradeProtocol);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that joins upgraded connections"
        )]
        // After the agreement is checked: from here on bytes pass that nobody looks at.
        let backend = hyper::upgrade::on(&mut response);
        self.start_tunnel(context, caller, backend, protocol, slot);
        Ok(Forwarded {
            permit: endpoints.permit(),
            endpoint,
            login,
            response: switching(response),
        })
    }

    /// Starts the task that joins both ends as soon as they have switched.
    fn start_tunnel(
        &self,
        context: ForwardContext<'_>,
        caller: OnUpgrade,
        backend: OnUpgrade,
        protocol: Protocol,
        slot: Slot,
    ) {
        context
            .request_context
            .note(|record| record.upgrade = Some(protocol.as_str()));
        // Before the 101 goes out: the task is there when the caller's side switches, and the server's drain knows of
        // it.
        self.tasks.spawn(tunnel::run(tunnel::Setup {
            caller,
            backend,
            protocol,
            idle_timeout: self.config.tunnel_idle_timeout,
            write_timeout: self.config.exchange_idle_timeout,
            context: Arc::clone(context.request_context),
            reauthorization: Reauthorization::new(
                context.peer,
                context.permit,
                &self.authorizer,
                self.config.tunnel_authorization_interval,
            ),
            tasks: self.tasks.clone(),
            _slot: slot,
        }));
    }

    /// Waits for the head of the response, within what a backend may send and take for it.
    async fn head(
        &self,
        context: ForwardContext<'_>,
        endpoint: &Endpoint,
        state: &IoState,
        response: impl Future<Output = Result<http::Response<Incoming>, hyper::Error>>,
    ) -> Result<http::Response<Incoming>, ForwardError> {
        // Before the response is awaited, as the connection's task may read it at once.
        state.expect_response();
        // There is no body to be taken: what comes behind a request for an upgrade is the tunnel's.
        let response = self.within_timeouts(context.request_context, endpoint, None, response);
        let response = response.await?;
        let failed = |cause| ForwardError::of_exchange(*endpoint.address, state, cause);
        let response = response.map_err(failed)?;
        state.response_arrived();
        Ok(response)
    }
}

/// A refusal that is passed on; no connection outlives it.
fn refused(context: ForwardContext<'_>, response: http::Response<Incoming>) -> Response {
    let (mut parts, body) = response.into_parts();
    hop_by_hop::remove(&mut parts.headers);
    // The caller may have sent bytes for the tunnel behind its request; read as the next request they would be
    // smuggled.
    parts
        .headers
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    // Without a lease: the connection was never one of the pool's, and closes when this body is dropped.
    let body = ResponseBody::new(body, Arc::clone(context.request_context), None);
    Response::from_parts(parts, Body::new(body))
}

/// The backend's 101, with its headers as they came but for those of its connection.
fn switching(response: http::Response<Incoming>) -> Response {
    let (mut parts, _) = response.into_parts();
    // Taken before `Upgrade` goes with the rest of the connection's headers, as a 101 has to name it (RFC 9110 section
    // 15.2.2).
    let agreed = parts.headers.get(header::UPGRADE).cloned();
    hop_by_hop::remove(&mut parts.headers);
    parts
        .headers
        .insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(agreed) = agreed {
        parts.headers.insert(header::UPGRADE, agreed);
    }
    Response::from_parts(parts, Body::empty())
}

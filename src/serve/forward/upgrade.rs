//! Upgrades: a tunnel after a 101 with the protocol that was asked for, and in no other case.
//!
//! A tunnel lets anything pass, so it must never be open to a backend that did not agree to it (CVE-2018-1002105), and no
//! redirect is followed with it (CVE-2020-8559). `Connection` is read as tokens; only protocols that are known to be safe
//! are tunnelled; `h2c` is an offer that may be ignored, and is.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use super::body::{Down, Up};
use super::exchange::{failed, inside};
use super::transport::connection::{Spelling, http1_settings};
use super::transport::connector::{Dialled, Purpose};
use super::transport::io::{Io, Received};
use super::tunnel::reauthorization::Standing;
use super::{Forward, ForwardError, Forwarded, Sender, headers, tunnel};
use crate::protocol::hop_by_hop;
use crate::protocol::status::{Request, Response};
use crate::serve::destination::Scheme;
use crate::serve::endpoint::{Endpoint, EndpointOrder};

/// What may be tunnelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    WebSocket,
    /// kubectl's exec, attach and port-forward before WebSockets.
    Spdy,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Plain,
    Tunnel(Protocol),
}

impl Protocol {
    fn parse(token: &[u8]) -> Option<Self> {
        if token.eq_ignore_ascii_case(b"websocket") {
            Some(Self::WebSocket)
        } else if token.eq_ignore_ascii_case(b"spdy/3.1") {
            Some(Self::Spdy)
        } else {
            None
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Spdy => "SPDY/3.1",
        }
    }
}

/// Reads what a request asks for. Of HTTP/1.0, `Upgrade` is ignored (RFC 9110 section 7.8); HTTP/2 has none.
pub(super) fn asked(request: &Request, scheme: Scheme) -> Result<Asked, ForwardError> {
    if request.version() != Version::HTTP_11 {
        return Ok(Asked::Plain);
    }
    let headers = request.headers();
    if !tokens(headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case(b"upgrade")) {
        return Ok(Asked::Plain);
    }
    let offered: Vec<&[u8]> = tokens(headers, &header::UPGRADE)
        .filter(|token| !token.eq_ignore_ascii_case(b"h2c"))
        .collect();
    let Some(first) = offered.first() else {
        return Ok(Asked::Plain);
    };
    if scheme == Scheme::Kubelet {
        return Err(ForwardError::KubeletUpgrade);
    }
    match offered.iter().find_map(|token| Protocol::parse(token)) {
        Some(protocol) => Ok(Asked::Tunnel(protocol)),
        None => Err(ForwardError::Protocol(
            String::from_utf8_lossy(first).into_owned(),
        )),
    }
}

fn tokens<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

impl Forward {
    pub(super) async fn upgrade(
        &self,
        sender: Sender<'_>,
        choice: EndpointOrder,
        mut request: Box<Request>,
        protocol: Protocol,
    ) -> Result<Forwarded, ForwardError> {
        let place = self
            .tunnels
            .take(sender.permit.holder(), &sender.permit.info().namespace)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that joins upgraded connections"
        )]
        let caller = hyper::upgrade::on(&mut *request);
        let Dialled { io, endpoint, .. } = self.dialer.dial(&choice, Purpose::Upgrade).await?;
        sender.context.metrics().connected();
        let (address, received) = (*endpoint.address, io.received());
        let (mut requests, connection) = http1_settings(Spelling::Kept)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|cause| ForwardError::Closed {
                address,
                cause: Arc::new(cause),
            })?;
        self.drive_upgradeable(connection);
        let request = self.asking_to_upgrade(sender, &endpoint, request, protocol)?;
        let answer = requests.send_request(request);
        let mut answer = self.head(sender, &endpoint, &received, answer).await?;
        match answer.status() {
            StatusCode::SWITCHING_PROTOCOLS => {}
            status if status.as_u16() >= 400 => return Ok(refused(sender, endpoint, answer)),
            status => return Err(ForwardError::UpgradeAnswer(status.as_u16())),
        }
        let agreed = tokens(answer.headers(), &header::UPGRADE).find_map(Protocol::parse);
        if agreed != Some(protocol) {
            return Err(ForwardError::UpgradeProtocol);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that joins upgraded connections"
        )]
        let backend = hyper::upgrade::on(&mut answer);
        sender
            .context
            .note(|record| record.upgrade = Some(protocol.as_str()));
        self.tasks.spawn(tunnel::run(tunnel::Ends {
            caller,
            backend,
            protocol,
            idle_limit: self.config.tunnel_idle_limit,
            write_timeout: self.config.exchange_idle_timeout,
            context: Arc::clone(sender.context),
            standing: self.standing(sender),
            tasks: self.tasks.clone(),
            _place: place,
        }));
        Ok(Forwarded {
            response: switching(answer),
            endpoint,
        })
    }

    /// Waits for the head of the answer, within what a backend may send and take for it.
    async fn head(
        &self,
        sender: Sender<'_>,
        endpoint: &Endpoint,
        received: &Received,
        answer: impl Future<Output = Result<http::Response<Incoming>, hyper::Error>>,
    ) -> Result<http::Response<Incoming>, ForwardError> {
        received.expect_answer();
        let answer = self.within_limit(sender.context, endpoint, None, answer);
        let answer = answer.await?;
        let answer = answer.map_err(|cause| failed(*endpoint.address, received, cause))?;
        received.answered();
        Ok(answer)
    }

    fn standing(&self, sender: Sender<'_>) -> Standing {
        Standing::new(
            sender.peer,
            sender.permit,
            &self.authorizer,
            self.config.tunnel_authorization_interval,
        )
    }

    pub(super) fn asking_to_upgrade(
        &self,
        sender: Sender<'_>,
        endpoint: &Endpoint,
        request: Box<Request>,
        protocol: Protocol,
    ) -> Result<http::Request<Up>, ForwardError> {
        let (mut parts, body) = request.into_parts();
        let authorization = self
            .logins
            .authorization(sender.permit, sender.client, &parts.headers);
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        parts.headers =
            headers::to_backend(sender, endpoint, authority, parts.headers, authorization);
        parts
            .headers
            .insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        parts
            .headers
            .insert(header::UPGRADE, HeaderValue::from_static(protocol.as_str()));
        parts.uri = inside(sender, endpoint)?;
        Ok(http::Request::from_parts(
            parts,
            Up::new(body, Arc::clone(sender.context), None),
        ))
    }

    fn drive_upgradeable(
        &self,
        connection: hyper::client::conn::http1::Connection<TokioIo<Io>, Up>,
    ) {
        self.tasks.spawn_background(async move {
            if let Err(failed) = connection.with_upgrades().await {
                tracing::debug!(error = %failed, "a connection to a backend broke off");
            }
        });
    }
}

/// A refusal that is passed on; no connection outlives it.
fn refused(sender: Sender<'_>, endpoint: Endpoint, answer: http::Response<Incoming>) -> Forwarded {
    let (mut parts, body) = answer.into_parts();
    hop_by_hop::remove(&mut parts.headers);
    parts
        .headers
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    let body = Body::new(Down::new(body, Arc::clone(sender.context), None));
    Forwarded {
        response: Response::from_parts(parts, body),
        endpoint,
    }
}

/// The backend's 101, with its headers as they came but for those of its connection.
fn switching(answer: http::Response<Incoming>) -> Response {
    let (mut parts, _) = answer.into_parts();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(lines: &[(&str, &str)], scheme: Scheme) -> Result<Asked, ForwardError> {
        let mut request = Request::new(Body::empty());
        for (name, value) in lines {
            let name = header::HeaderName::try_from(*name).unwrap();
            request
                .headers_mut()
                .append(name, HeaderValue::try_from(*value).unwrap());
        }
        asked(&request, scheme)
    }

    #[test]
    fn an_upgrade_is_a_token_and_names_a_known_protocol() {
        for (connection, upgrade, expected) in [
            ("Upgrade", "websocket", Asked::Tunnel(Protocol::WebSocket)),
            (
                "keep-alive,  uPGRADE",
                "WebSocket",
                Asked::Tunnel(Protocol::WebSocket),
            ),
            ("Upgrade", "SPDY/3.1", Asked::Tunnel(Protocol::Spdy)),
            (
                "Upgrade",
                "h2c, websocket",
                Asked::Tunnel(Protocol::WebSocket),
            ),
            ("Upgrade, HTTP2-Settings", "h2c", Asked::Plain),
            ("xupgradey", "websocket", Asked::Plain),
            ("upgraded", "websocket", Asked::Plain),
            ("keep-alive", "websocket", Asked::Plain),
            ("Upgrade", "", Asked::Plain),
        ] {
            let found = ask(
                &[("Connection", connection), ("Upgrade", upgrade)],
                Scheme::Http,
            )
            .unwrap();
            assert_eq!(found, expected, "{connection} / {upgrade}");
        }
        assert_eq!(
            ask(&[("Connection", "Upgrade")], Scheme::Http).unwrap(),
            Asked::Plain
        );
    }

    #[test]
    fn other_protocols_and_kubelets_are_refused() {
        let lines = [("Connection", "upgrade"), ("Upgrade", "tcp")];
        assert!(
            matches!(ask(&lines, Scheme::Http), Err(ForwardError::Protocol(name)) if name == "tcp")
        );
        let lines = [("Connection", "upgrade"), ("Upgrade", "websocket")];
        assert!(matches!(
            ask(&lines, Scheme::Kubelet),
            Err(ForwardError::KubeletUpgrade)
        ));
    }
}

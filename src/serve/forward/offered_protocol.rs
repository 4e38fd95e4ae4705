//! Which protocol a request asks to be upgraded to, if any.
//!
//! `Connection` is read as tokens. Refused: a protocol that is not known to be safe, and any at a kubelet.

use http::Version;

use super::error::ForwardError;
use super::tunnel::Protocol;
use crate::protocol::hop_by_hop;
use crate::protocol::status::Request;
use crate::serve::destination::Scheme;

/// The protocol that a request asks to be upgraded to. Of HTTP/1.0, `Upgrade` is ignored (RFC 9110 section 7.8); HTTP/2
/// has none.
pub(super) fn requested_protocol(
    request: &Request,
    scheme: Scheme,
) -> Result<Option<Protocol>, ForwardError> {
    // Behind an HTTP/2 front proxy an upgrade is made over HTTP/1.1 all the same, so nothing is lost.
    if request.version() != Version::HTTP_11 {
        return Ok(None);
    }
    let offered = hop_by_hop::requested_upgrades(request.headers());
    let Some(first) = offered.first() else {
        return Ok(None);
    };
    // After it is known that an upgrade is wanted: plain requests to kubelets are what nodes' proxies are for.
    if scheme == Scheme::Kubelet {
        return Err(ForwardError::KubeletUpgrade);
    }
    // The first that is known, in the caller's order of preference.
    match offered.iter().find_map(|token| Protocol::parse(token)) {
        Some(protocol) => Ok(Some(protocol)),
        None => Err(ForwardError::Protocol(
            String::from_utf8_lossy(first).into_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{HeaderValue, header};

    use super::*;

    fn protocol_of(
        lines: &[(&str, &str)],
        scheme: Scheme,
    ) -> Result<Option<Protocol>, ForwardError> {
        let mut request = Request::new(Body::empty());
        for (name, value) in lines {
            let name = header::HeaderName::try_from(*name).unwrap();
            request
                .headers_mut()
                .append(name, HeaderValue::try_from(*value).unwrap());
        }
        requested_protocol(&request, scheme)
    }

    #[test]
    fn an_upgrade_is_a_token_and_names_a_known_protocol() {
        for (connection, upgrade, expected) in [
            ("Upgrade", "websocket", Some(Protocol::WebSocket)),
            (
                "keep-alive,  uPGRADE",
                "WebSocket",
                Some(Protocol::WebSocket),
            ),
            ("Upgrade", "SPDY/3.1", Some(Protocol::Spdy)),
            ("Upgrade", "h2c, websocket", Some(Protocol::WebSocket)),
            ("Upgrade, HTTP2-Settings", "h2c", None),
            ("xupgradey", "websocket", None),
            ("upgraded", "websocket", None),
            ("keep-alive", "websocket", None),
            ("Upgrade", "", None),
        ] {
            let found = protocol_of(
                &[("Connection", connection), ("Upgrade", upgrade)],
                Scheme::Http,
            )
            .unwrap();
            assert_eq!(found, expected, "{connection} / {upgrade}");
        }
        assert_eq!(
            protocol_of(&[("Connection", "Upgrade")], Scheme::Http).unwrap(),
            None
        );
    }

    #[test]
    fn other_protocols_and_kubelets_are_refused() {
        let lines = [("Connection", "upgrade"), ("Upgrade", "tcp")];
        assert!(
            matches!(protocol_of(&lines, Scheme::Http), Err(ForwardError::Protocol(name)) if name == "tcp")
        );
        let lines = [("Connection", "upgrade"), ("Upgrade", "websocket")];
        assert!(matches!(
            protocol_of(&lines, Scheme::Kubelet),
            Err(ForwardError::KubeletUpgrade)
        ));
    }
}

//! Reads the bearer token of a request: `Authorization`, or a WebSocket's sub-protocol.
//!
//! In: headers. Out: the token, which nobody has checked yet. Refused: two tokens, or one that is the only
//! sub-protocol.
//!
//! Kubernetes: `pkg/authentication/request/bearertoken` and `websocket/protocol.go` of k8s.io/apiserver.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};

use super::AuthenticationError;

/// How a token is marked among the sub-protocols of a WebSocket.
pub(super) const WEBSOCKET_TOKEN: &str = "base64url.bearer.authorization.k8s.io.";

/// The token of `Authorization: Bearer …`; other schemes and an empty token are no credential here.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?;
    if let Some(token) = lone_token(value.as_bytes()) {
        return Some(token);
    }
    let value = value.to_str().ok()?.trim();
    let (scheme, rest) = value.split_once(' ')?;
    let token = rest.split(' ').next().unwrap_or_default();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The same where nothing stands around the token, as everybody sends it: it may have kilobytes, and is then looked
/// through in words and not in bytes.
fn lone_token(value: &[u8]) -> Option<&str> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    let is_other = |byte: &u8| !byte.is_ascii_graphic();
    // Without an early end, so that the compiler can take many bytes at once.
    let others = token.iter().fold(false, |any, byte| any | is_other(byte));
    if !scheme.eq_ignore_ascii_case(SCHEME) || token.is_empty() || others {
        return None;
    }
    std::str::from_utf8(token).ok()
}

/// The token among a WebSocket's sub-protocols.
///
/// Browsers can't set `Authorization` on a WebSocket; Kubernetes lets them offer the token as a sub-protocol, beside at
/// least one that the backend can choose.
pub(super) fn websocket_token(headers: &HeaderMap) -> Result<Option<String>, AuthenticationError> {
    let is_websocket = headers
        .get_all(header::UPGRADE)
        .iter()
        .any(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !is_websocket {
        return Ok(None);
    }
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let offered: Vec<&str> = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .collect();
    let mut tokens = offered
        .iter()
        .filter_map(|protocol| protocol.strip_prefix(WEBSOCKET_TOKEN));
    let Some(encoded) = tokens.next() else {
        return Ok(None);
    };
    let others = offered
        .iter()
        .filter(|protocol| !protocol.is_empty())
        .count()
        - 1;
    if tokens.next().is_some() || others == 0 {
        return Err(AuthenticationError::WebSocketToken);
    }
    let token = URL_SAFE_NO_PAD
        .decode(encoded)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    match token {
        Some(token) if !token.is_empty() => Ok(Some(token)),
        _ => Err(AuthenticationError::WebSocketToken),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::try_from(value).unwrap())])
    }

    fn websocket(protocols: &str) -> Result<Option<String>, AuthenticationError> {
        let mut headers = with(header::UPGRADE, "WebSocket");
        headers.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::try_from(protocols).unwrap(),
        );
        websocket_token(&headers)
    }

    #[test]
    fn a_bearer_token_is_found_in_any_case_and_nothing_else_is_one() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bEaReR abc", Some("abc")),
            (" Bearer abc ", Some("abc")),
            ("Bearer abc ", Some("abc")),
            ("Bearer abc\tdef", Some("abc\tdef")),
            ("Bearer abc\u{e4}", None),
            ("Bearer ", None),
            ("Bearer abc def", Some("abc")),
            ("Bearer", None),
            ("Bearer  abc", None),
            ("Basic abc", None),
            ("abc", None),
        ] {
            assert_eq!(
                bearer(&with(header::AUTHORIZATION, value)),
                token,
                "{value:?}"
            );
        }
    }

    #[test]
    fn a_websocket_brings_one_token_beside_a_protocol_to_choose() {
        let token = format!("{WEBSOCKET_TOKEN}dG9rZW4");
        assert_eq!(
            websocket(&format!("chat, {token}")).unwrap().as_deref(),
            Some("token")
        );
        assert_eq!(websocket("chat").unwrap(), None);
        for bad in [
            token.clone(),
            format!("{token}, {token}, chat"),
            format!("chat, {WEBSOCKET_TOKEN}"),
            format!("chat, {WEBSOCKET_TOKEN}!!"),
            format!("chat, {WEBSOCKET_TOKEN}_w"),
        ] {
            assert!(
                matches!(websocket(&bad), Err(AuthenticationError::WebSocketToken)),
                "{bad}"
            );
        }
    }

    #[test]
    fn without_an_upgrade_a_sub_protocol_is_no_credential() {
        let headers = with(
            header::SEC_WEBSOCKET_PROTOCOL,
            &format!("chat, {WEBSOCKET_TOKEN}dG9rZW4"),
        );
        assert_eq!(websocket_token(&headers).unwrap(), None);
    }
}

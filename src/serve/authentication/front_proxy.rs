//! The front proxy: kube-apiserver, which has authenticated the user and says in headers who it is.
//!
//! The only reader of `X-Remote-*`. They count for something only when the connection's certificate is of the
//! requestheader CA that is in force now and has one of the allowed names. Which headers they are is the cluster's to
//! say; a UID header is believed only if it is listed, as older front proxies do not remove it from what a client
//! sends.
//!
//! Kubernetes: `pkg/authentication/request/headerrequest/requestheader.go` of k8s.io/apiserver.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::verification::verify;
use super::{AuthenticationError, User};
use crate::serve::certificates::{RequestHeader, Trust};
use crate::serve::connection::Peer;

/// The user that the front proxy speaks for; `None` when there is no certificate, no front proxy known, or no user
/// named.
pub(super) fn identify(
    trust: &Trust,
    peer: &Peer,
    headers: &HeaderMap,
) -> Result<Option<User>, AuthenticationError> {
    let request_header = trust.request_header.load();
    let Some(request_header) = request_header.as_deref() else {
        return Ok(None);
    };
    // The certificate first: the headers count for nothing before the other end is known.
    if !is_known(request_header, peer)? {
        return Ok(None);
    }
    Ok(user(request_header, headers))
}

/// Whether the other end has the front proxy's certificate.
pub(super) fn is_front_proxy(trust: &Trust, peer: &Peer) -> Result<bool, AuthenticationError> {
    let request_header = trust.request_header.load();
    let known = request_header.as_deref().map(|known| is_known(known, peer));
    known.unwrap_or(Ok(false))
}

fn is_known(request_header: &RequestHeader, peer: &Peer) -> Result<bool, AuthenticationError> {
    let Some(leaf) = peer.certificates().first() else {
        return Ok(false);
    };
    let chain = peer.certificates();
    // Remembered with the connection, so a request costs no signature.
    verify(
        peer.front_proxy_verification(),
        &request_header.roots,
        chain,
        SystemTime::now(),
    )?;
    // Without names every certificate of that CA counts, as in k8s.io/apiserver; the CA signs for front proxies alone.
    if !request_header.allowed_names.is_empty() {
        let name = common_name(leaf)?;
        if !request_header.allowed_names.contains(&name) {
            return Err(AuthenticationError::FrontProxyName(name));
        }
    }
    Ok(true)
}

fn common_name(leaf: &[u8]) -> Result<String, AuthenticationError> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(leaf).map_err(|_| AuthenticationError::Unparsable)?;
    let name = certificate
        .subject()
        .iter_common_name()
        .last()
        .and_then(|name| name.as_str().ok());
    Ok(name.unwrap_or_default().to_owned())
}

/// Reads the headers that the front proxy was given for this.
fn user(names: &RequestHeader, headers: &HeaderMap) -> Option<User> {
    let mut user = User {
        name: first(&names.username_headers, headers)?,
        uid: first(&names.uid_headers, headers),
        ..User::default()
    };
    for name in &names.group_headers {
        user.groups.extend(
            headers
                .get_all(name)
                .iter()
                .map(text)
                .filter(|group| !group.is_empty()),
        );
    }
    for prefix in &names.extra_header_prefixes {
        for (name, value) in headers {
            if let Some(key) = name.as_str().strip_prefix(prefix.as_str()) {
                user.extra
                    .entry(unescape(key))
                    .or_default()
                    .push(text(value));
            }
        }
    }
    Some(user)
}

/// The first non-empty first value of the headers named.
fn first(names: &[HeaderName], headers: &HeaderMap) -> Option<String> {
    names
        .iter()
        .filter_map(|name| headers.get(name))
        .map(text)
        .find(|value| !value.is_empty())
}

/// Go takes a header's bytes for text; what is no UTF-8 can't name anybody in RBAC either way.
fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Keys of extra are percent-encoded, as header names hold few characters; a broken escape leaves the key as it came.
fn unescape(key: &str) -> String {
    let whole = |rest: &str| {
        rest.as_bytes()
            .get(..2)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    // As Go's `url.PathUnescape` fails and the key is then used as it is.
    if !key.split('%').skip(1).all(whole) {
        return key.to_owned();
    }
    percent_decode_str(key)
        .decode_utf8()
        .map_or_else(|_| key.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_extra_are_unescaped_unless_broken() {
        assert_eq!(
            unescape("authentication.kubernetes.io%2fpod-name"),
            "authentication.kubernetes.io/pod-name"
        );
        assert_eq!(unescape("a%2"), "a%2");
        assert_eq!(unescape("a%ff"), "a%ff");
    }
}

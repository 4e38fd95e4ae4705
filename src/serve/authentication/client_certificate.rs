//! Client certificates of the cluster's own CA: `CN` is the user, each `O` a group.
//!
//! Kubernetes: `pkg/authentication/request/x509/x509.go` of k8s.io/apiserver.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

use aws_lc_rs::digest;
use x509_parser::prelude::X509Certificate;

use super::verification::verify;
use super::{AuthenticationError, User};
use crate::serve::certificates::Trust;
use crate::serve::connection::Peer;

/// The name of a user's UID in a certificate's subject (`asn1util.X509UID`).
const UID: &str = "1.3.6.1.4.1.57683.2";

/// Which certificate it was, for audit.
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// The user that the certificate names; `None` without a certificate, without a CA to judge it by, or without a name.
pub(super) fn identify(trust: &Trust, peer: &Peer) -> Result<Option<User>, AuthenticationError> {
    // Loaded once, so that the chain is judged by one set of roots even if it is replaced meanwhile.
    let roots = trust.client.load();
    let (Some(roots), Some(leaf)) = (roots.as_deref(), peer.certificates().first()) else {
        return Ok(None);
    };
    // Before anything of the certificate is read: what a stranger wrote into it names nobody.
    verify(
        peer.client_verification(),
        roots,
        peer.certificates(),
        SystemTime::now(),
    )?;
    let (_, certificate) =
        x509_parser::parse_x509_certificate(leaf).map_err(|_| AuthenticationError::Unparsable)?;
    user(&certificate, leaf)
}

fn user(
    certificate: &X509Certificate<'_>,
    der: &[u8],
) -> Result<Option<User>, AuthenticationError> {
    let subject = certificate.subject();
    // The last, as Go's `Subject.CommonName` is.
    let name = subject
        .iter_common_name()
        .last()
        .and_then(|name| name.as_str().ok())
        .unwrap_or_default();
    // Nobody, and no refusal: another credential may still come.
    if name.is_empty() {
        return Ok(None);
    }
    let groups = subject
        .iter_organization()
        .filter_map(|group| group.as_str().ok())
        .map(str::to_owned);
    Ok(Some(User {
        name: name.to_owned(),
        uid: uid(certificate)?,
        groups: groups.collect(),
        extra: BTreeMap::from([(CREDENTIAL_ID.to_owned(), vec![credential_id(der)])]),
    }))
}

/// Several UIDs, or an empty one, make a certificate nobody's.
fn uid(certificate: &X509Certificate<'_>) -> Result<Option<String>, AuthenticationError> {
    let attributes = certificate.subject().iter_attributes();
    let mut found = attributes.filter(|attribute| attribute.attr_type().to_id_string() == UID);
    let Some(uid) = found.next() else {
        return Ok(None);
    };
    let text = uid.as_str().map_err(|_| AuthenticationError::Unparsable)?;
    if text.is_empty() || found.next().is_some() {
        return Err(AuthenticationError::Unparsable);
    }
    Ok(Some(text.to_owned()))
}

fn credential_id(der: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, der);
    hash.as_ref()
        .iter()
        .fold("X509SHA256=".to_owned(), |mut id, byte| {
            write!(id, "{byte:02x}").expect("a String takes everything");
            id
        })
}

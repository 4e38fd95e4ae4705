//! Client certificates of X.509 version 1, which hand-made control planes and MicroK8s have, and which webpki does not
//! read.
//!
//! Such a certificate says nothing of what it is for, so only one use is taken for granted: to be the last of a chain
//! of two. It is believed if a root of the bundle signed it itself. It never signs another one, so no chain is longer
//! for it. Go's `x509` takes them as leaves in the same way (and, which is not done here, below intermediates).
//!
//! In: the leaf, the roots, the time. Refuses what a certificate of version 1 can't have, a root that may not sign
//! certificates or not those of clients, a root with name constraints, hashes below SHA-256 and RSA keys below 2048
//! bits.

use std::time::SystemTime;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::{Any, FromDer};
use x509_parser::prelude::{ParsedExtension, X509Certificate};
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use super::signature::PublicKey;

/// Why a certificate of version 1 is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Disbelief {
    #[error("a certificate of X.509 version 1 with parts of a later version")]
    Malformed,
    #[error("a certificate of X.509 version 1 that is not valid at this time")]
    Time,
    #[error(
        "a certificate of X.509 version 1 that no root signed itself; make it anew with version 3"
    )]
    UnknownIssuer,
}

/// Whether this is a certificate of version 1 at all.
pub(super) fn is_version_one(certificate: &CertificateDer<'_>) -> bool {
    parse(certificate).is_some_and(|parsed| parsed.version() == X509Version::V1)
}

/// Whether one of the roots signed this leaf itself, for clients, and both hold at `now`.
pub(super) fn verify(
    leaf: &CertificateDer<'_>,
    roots: &[CertificateDer<'static>],
    now: SystemTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), Disbelief> {
    let parsed = parse(leaf).ok_or(Disbelief::Malformed)?;
    let tbs = &parsed.tbs_certificate;
    // A certificate that says version 1 and has parts of a later one would be read in two ways.
    let is_plain = parsed.version() == X509Version::V1
        && parsed.extensions().is_empty()
        && tbs.issuer_uid.is_none()
        && tbs.subject_uid.is_none()
        // The algorithm stands inside the signed part and outside; only the first can't be changed by others.
        && tbs.signature == parsed.signature_algorithm;
    if !is_plain {
        return Err(Disbelief::Malformed);
    }
    let now = asn1_time(now).ok_or(Disbelief::Time)?;
    if !parsed.validity().is_valid_at(now) {
        return Err(Disbelief::Time);
    }
    // Each root by itself: of two with the same subject, one may be the old one.
    let signed = roots.iter().filter_map(parse).any(|root| {
        root.subject().as_raw() == parsed.issuer().as_raw()
            && root.validity().is_valid_at(now)
            && may_sign_clients(&root)
            && has_signed(&root, &parsed, leaf, algorithms)
    });
    signed.then_some(()).ok_or(Disbelief::UnknownIssuer)
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (rest, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    // Bytes behind the certificate are signed by nobody.
    rest.is_empty().then_some(parsed)
}

fn asn1_time(time: SystemTime) -> Option<ASN1Time> {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    ASN1Time::from_timestamp(i64::try_from(since_epoch.as_secs()).ok()?).ok()
}

/// A root of version 1 has no extensions, and may: the administrator put it into the bundle.
fn may_sign_clients(root: &X509Certificate<'_>) -> bool {
    let is_authority = root.version() == X509Version::V1 || root.is_ca();
    is_authority
        && root.extensions().iter().all(|extension| {
            match extension.parsed_extension() {
                ParsedExtension::KeyUsage(usage) => usage.key_cert_sign(),
                ParsedExtension::ExtendedKeyUsage(usage) => usage.any || usage.client_auth,
                // A leaf without names of its own can't be held against them.
                ParsedExtension::NameConstraints(_) => false,
                ParsedExtension::BasicConstraints(_) => true,
                _ => !extension.critical,
            }
        })
}

/// Whether the root's key signed the leaf, by an algorithm that chains are verified with.
fn has_signed(
    root: &X509Certificate<'_>,
    leaf: &X509Certificate<'_>,
    der: &[u8],
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let Some(key) = PublicKey::of(root.public_key().raw) else {
        return false;
    };
    let Some(algorithm) = signature_algorithm(der) else {
        return false;
    };
    let (message, signature) = (
        leaf.tbs_certificate.as_ref(),
        &leaf.signature_value.data[..],
    );
    leaf.signature_value.unused_bits == 0
        && algorithms
            .all
            .iter()
            .filter(|candidate| candidate.signature_alg_id().as_ref() == algorithm)
            .filter(|candidate| key.is_for(**candidate))
            .any(|candidate| {
                candidate
                    .verify_signature(key.bits, message, signature)
                    .is_ok()
            })
}

/// The content of a certificate's signatureAlgorithm, without its tag and length.
fn signature_algorithm(der: &[u8]) -> Option<&[u8]> {
    let (_, certificate) = Any::from_der(der).ok()?;
    let (rest, _tbs) = Any::from_der(certificate.data).ok()?;
    let (_, algorithm) = Any::from_der(rest).ok()?;
    Some(algorithm.data)
}

#[cfg(test)]
pub(crate) mod tests;

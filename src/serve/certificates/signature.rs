//! Whether a handshake was signed with the key of a certificate, whatever form the certificate has.
//!
//! rustls reads certificates with webpki, which takes X.509 version 3 alone and no critical extension that it does not
//! know. Go's `crypto/tls` proves the key first and judges the certificate later, so clusters with hand-made
//! certificates of version 1 work there. Here the key is read from SubjectPublicKeyInfo where webpki does not read the
//! certificate. This proves the possession of the key and nothing else: whether the certificate is believed is its
//! verifier's to say.
//!
//! In: certificate, message, scheme and signature. Refuses what is no certificate, a scheme that is not of the
//! protocol's version, and a signature that does not verify. TLS: RFC 5246 4.7, RFC 8446 4.4.3.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, PeerMisbehaved, ProtocolVersion,
    SignatureScheme,
};
use x509_parser::asn1_rs::{Any, Class, FromDer};

/// Why a certificate's key can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    #[error("the certificate can't be read")]
    Unreadable,
    #[error("the certificate's key is not of the kind that the signature needs")]
    OtherKind,
}

impl From<KeyError> for Error {
    fn from(failed: KeyError) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(failed))))
    }
}

/// What a peer signed in its handshake.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) version: ProtocolVersion,
    pub(super) message: &'a [u8],
    pub(super) scheme: SignatureScheme,
    pub(super) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    pub(super) fn new(
        version: ProtocolVersion,
        message: &'a [u8],
        signed: &'a DigitallySignedStruct,
    ) -> Self {
        Self {
            version,
            message,
            scheme: signed.scheme,
            signature: signed.signature(),
        }
    }
}

/// Checks a TLS 1.2 signature: by webpki, or by the bare key where webpki does not read the certificate.
pub(super) fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    // webpki where it reads the certificate; the rest of this file is only for what it does not.
    if ParsedCertificate::try_from(certificate).is_ok() {
        return verify_tls12_signature(message, certificate, signed, algorithms);
    }
    let signed = Signed::new(ProtocolVersion::TLSv1_2, message, signed);
    verify_with_bare_key(certificate, signed, algorithms)?;
    Ok(HandshakeSignatureValid::assertion())
}

/// The same for TLS 1.3.
pub(super) fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    if ParsedCertificate::try_from(certificate).is_ok() {
        return verify_tls13_signature(message, certificate, signed, algorithms);
    }
    let signed = Signed::new(ProtocolVersion::TLSv1_3, message, signed);
    verify_with_bare_key(certificate, signed, algorithms)?;
    Ok(HandshakeSignatureValid::assertion())
}

/// Checks a signature with the key of SubjectPublicKeyInfo and looks at nothing else of the certificate.
pub(super) fn verify_with_bare_key(
    certificate: &CertificateDer<'_>,
    signed: Signed<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), Error> {
    let unadvertised =
        || Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme);
    let mapping = algorithms.mapping.iter();
    let (_, candidates) = mapping
        .filter(|(scheme, _)| *scheme == signed.scheme)
        // A scheme of the other version of the protocol is one that was not offered.
        .find(|_| is_of_version(signed.scheme, signed.version))
        .ok_or_else(unadvertised)?;
    // TLS 1.3 ties a scheme to one curve, which is the first; TLS 1.2 does not.
    let candidates = match signed.version {
        ProtocolVersion::TLSv1_2 => candidates,
        _ => candidates.get(..1).unwrap_or_default(),
    };
    let info = public_key_info(certificate).ok_or(KeyError::Unreadable)?;
    let key = PublicKey::of(info).ok_or(KeyError::Unreadable)?;
    let algorithm = candidates
        .iter()
        .find(|algorithm| key.is_for(**algorithm))
        .ok_or(KeyError::OtherKind)?;
    algorithm
        .verify_signature(key.bits, signed.message, signed.signature)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadSignature))
}

/// The SubjectPublicKeyInfo of a certificate. Nothing else of it is read, so nothing else can be odd.
pub(super) fn public_key_info(certificate: &[u8]) -> Option<&[u8]> {
    let (_, certificate) = Any::from_der(certificate).ok()?;
    let (_, tbs) = Any::from_der(certificate.data).ok()?;
    let mut rest = tbs.data;
    // The version is not there in version 1; the key is behind serial, algorithm, issuer, validity and subject.
    if let Ok((behind, version)) = Any::from_der(rest)
        && version.header.class() == Class::ContextSpecific
    {
        rest = behind;
    }
    // Each is a whole element, so it is skipped by its length, whatever is in it.
    for _ in 0..5 {
        rest = Any::from_der(rest).ok()?.0;
    }
    let (behind, _) = Any::from_der(rest).ok()?;
    rest.get(..rest.len() - behind.len())
}

/// RFC 8446 4.2.3: TLS 1.3 has no PKCS#1 v1.5 in handshakes.
fn is_of_version(scheme: SignatureScheme, version: ProtocolVersion) -> bool {
    let is_pkcs1 = matches!(
        scheme,
        SignatureScheme::RSA_PKCS1_SHA1
            | SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
    );
    version == ProtocolVersion::TLSv1_2 || !is_pkcs1
}

/// The two parts of a SubjectPublicKeyInfo (RFC 5280 4.1).
pub(super) struct PublicKey<'a> {
    /// The content of AlgorithmIdentifier, without its tag and length.
    algorithm: &'a [u8],
    /// The key itself.
    pub(super) bits: &'a [u8],
}

impl<'a> PublicKey<'a> {
    pub(super) fn of(info: &'a [u8]) -> Option<Self> {
        let (_, info) = Any::from_der(info).ok()?;
        let (bits, algorithm) = Any::from_der(info.data).ok()?;
        let (_, bits) = Any::from_der(bits).ok()?;
        // The first byte of a BIT STRING says how many bits at its end don't count: none in a key.
        let (unused, bits) = bits.data.split_first()?;
        (*unused == 0).then_some(Self {
            algorithm: algorithm.data,
            bits,
        })
    }

    pub(super) fn is_for(&self, algorithm: &dyn SignatureVerificationAlgorithm) -> bool {
        algorithm.public_key_alg_id().as_ref() == self.algorithm
    }
}

//! A verifier for backends whose certificate nobody vouches for.
//!
//! Pods and services are reached by address and rarely have a certificate for it; like the built-in proxy this server
//! takes whatever they present: X.509 version 1, critical extensions that nobody knows, RSA keys from 1024 bits. The
//! handshake's signature is still checked with the certificate's key.
//!
//! One signature can't be checked: RSA-PSS, PKCS#1 with SHA-384, by a key shorter than 2048 bits, for which the
//! cryptography of this process has no algorithm. It is taken as it is. Nothing is lost by that: who stands between
//! this server and a backend shows a certificate of their own, which is taken too.

use std::sync::Arc;

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    RsaParameters, UnparsedPublicKey,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, SignatureScheme,
};
use x509_parser::asn1_rs::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::provider;
use super::signature::{self, PublicKey, Signed};

/// The shortest RSA key of a backend, in bits, as in Go's `crypto/tls`.
const MIN_RSA_BITS: usize = 1024;

/// The shortest RSA key that is checked like every other.
const ORDINARY_RSA_BITS: usize = 2048;

/// TLS settings for backends, with the application protocols to offer in their order.
pub fn any_backend(protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites for both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer::new()))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    // An address is no name to be told apart by: without one in the hello the backend shows its default certificate.
    config.enable_sni = false;
    Arc::new(config)
}

/// Accepts every certificate whose key signed the handshake.
#[derive(Debug)]
pub(super) struct AnyServer(Arc<CryptoProvider>);

impl AnyServer {
    pub(super) fn new() -> Self {
        Self(provider())
    }

    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        signed: Signed<'_>,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Asked before webpki is: it refuses such a key for its length, whatever the signature says.
        match short_rsa_key(certificate) {
            Some(key) => verify_short_rsa(&key, signed)?,
            None => {
                let algorithms = &self.0.signature_verification_algorithms;
                signature::verify_with_bare_key(certificate, signed, algorithms)?;
            }
        }
        Ok(HandshakeSignatureValid::assertion())
    }
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The certificate itself is taken as it is; the handshake's signature below shows that its key is at hand.
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let signed = Signed::new(ProtocolVersion::TLSv1_2, message, signature);
        self.verify(certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let signed = Signed::new(ProtocolVersion::TLSv1_3, message, signature);
        self.verify(certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The bits of an RSA key that is shorter than what is checked like every other, and not too short.
fn short_rsa_key(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let raw = signature::public_key_info(certificate)?;
    let (_, info) = SubjectPublicKeyInfo::from_der(raw).ok()?;
    let x509_parser::public_key::PublicKey::RSA(key) = info.parsed().ok()? else {
        return None;
    };
    // What is shorter still falls through to the usual check, which refuses it.
    let is_short = (MIN_RSA_BITS..ORDINARY_RSA_BITS).contains(&key.key_size());
    let bits = PublicKey::of(raw)?.bits.to_vec();
    is_short.then_some(bits)
}

fn verify_short_rsa(key: &[u8], signed: Signed<'_>) -> Result<(), Error> {
    let algorithm: &'static RsaParameters = match signed.scheme {
        SignatureScheme::RSA_PKCS1_SHA256 => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        SignatureScheme::RSA_PKCS1_SHA512 => &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        // See the front page: there is nothing to check these with.
        SignatureScheme::RSA_PKCS1_SHA384
        | SignatureScheme::RSA_PSS_SHA256
        | SignatureScheme::RSA_PSS_SHA384
        | SignatureScheme::RSA_PSS_SHA512 => return Ok(()),
        // A scheme of another kind of key signed with this one is a broken handshake and no short key.
        _ => return Err(signature::KeyError::OtherKind.into()),
    };
    UnparsedPublicKey::new(algorithm, key)
        .verify(signed.message, signed.signature)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadSignature))
}

#[cfg(test)]
mod tests;

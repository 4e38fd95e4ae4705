//! The TLS settings of the port: what is offered, and a client certificate that is asked for and judged later.
//!
//! Go's `tls.RequestClientCert`, which every Kubernetes server uses: a certificate of an unknown CA does not fail the
//! handshake, it only proves its key, and nor does one of a form that rustls does not read ([`signature`]). Whether it
//! means anything is decided for each request, by authentication.
//!
//! Sessions are never resumed: a resumed session would skip the client's proof, and a withdrawn CA would stay trusted.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};

use super::{Serving, provider, signature};
use crate::serve::config::Http2Serving;

/// TLS 1.2 and 1.3, HTTP/1.1 and perhaps HTTP/2, with the certificate that `serving` holds at the time of each
/// handshake.
pub fn server_config(serving: Arc<Serving>, http2: Http2Serving) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites for both versions")
        .with_client_cert_verifier(Arc::new(AskOnly {
            provider: provider(),
        }))
        .with_cert_resolver(serving);
    config.alpn_protocols = match http2 {
        Http2Serving::Enabled => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Http2Serving::Disabled => vec![b"http/1.1".to_vec()],
    };
    // A resumed session would skip the proof of the client's key, so none is kept and no ticket is given.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

/// Asks for a certificate, checks that its key is at hand, and leaves all trust to authentication.
#[derive(Debug)]
struct AskOnly {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AskOnly {
    fn client_auth_mandatory(&self) -> bool {
        // Tokens come without a certificate.
        false
    }

    /// No hint: a Go client that is given a list keeps back a certificate that is on none of it, and the list could be
    /// older than the certificate.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        signature::verify_tls12(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        signature::verify_tls13(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

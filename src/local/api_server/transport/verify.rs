//! Whether a server's certificate is believed, given the roots of the kubeconfig.
//!
//! The rules are webpki's, with one more of Go's: a certificate that is itself one of the roots is believed, also if it
//! is an authority's. Those are servers with a certificate that vouches for itself, of which the kubeconfig has a copy.
//! Name and time are checked for them as well.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use x509_parser::time::ASN1Time;

/// Believes what the roots signed, and the roots.
#[derive(Debug)]
pub(in crate::local::api_server) struct ServerVerifier {
    signed: Arc<WebPkiServerVerifier>,
    roots: Vec<Vec<u8>>,
}

impl ServerVerifier {
    /// `None` if one of the roots is no certificate that can be used.
    pub(in crate::local::api_server) fn of(roots: &[Vec<u8>]) -> Option<Self> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(CertificateDer::from(root.clone())).ok()?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let signed = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider);
        Some(Self {
            signed: signed.build().ok()?,
            roots: roots.to_vec(),
        })
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.signed.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match judged {
            // Only this one reason: any other fault of the certificate stays one.
            Err(Error::InvalidCertificate(CertificateError::Other(reason)))
                if is_about_an_authority(&reason)
                    && self.roots.iter().any(|root| **root == **end_entity) =>
            {
                // webpki did not come to these, as it refused the certificate before.
                in_time(end_entity, now)?;
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

/// rustls passes this reason of webpki's on as a text only.
fn is_about_an_authority(reason: &OtherError) -> bool {
    reason.0.to_string().contains("CaUsedAsEndEntity")
}

fn in_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let bad = |error| Error::InvalidCertificate(error);
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|_| bad(CertificateError::BadEncoding))?;
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let now = ASN1Time::from_timestamp(seconds).map_err(|_| bad(CertificateError::Expired))?;
    if now < parsed.validity().not_before {
        return Err(bad(CertificateError::NotValidYet));
    }
    if now > parsed.validity().not_after {
        return Err(bad(CertificateError::Expired));
    }
    Ok(())
}

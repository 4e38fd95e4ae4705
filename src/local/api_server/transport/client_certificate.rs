//! Client certificates that rustls does not read: X.509 version 1, as MicroK8s puts them into kubeconfigs.
//!
//! rustls compares certificate and key before it presents them, and reads version 3 alone for that. Here the two are
//! compared by their public keys, and whether the API server believes the certificate is its own to say. Go's
//! `tls.X509KeyPair` does the same.
//!
//! Refuses a key that is not the certificate's.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use secrecy::ExposeSecret;

use super::pem::ClientIdentity;

/// What presents the certificate in handshakes; `None` if certificate and key don't belong together.
pub(in crate::local::api_server) fn resolver(
    identity: &ClientIdentity,
) -> Option<Arc<dyn ResolvesClientCert>> {
    let chain = CertificateDer::pem_slice_iter(&identity.certificate)
        .collect::<Result<Vec<_>, _>>()
        .ok()?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.expose_secret()).ok()?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = provider.key_provider.load_private_key(key).ok()?;
    let (_, leaf) = x509_parser::parse_x509_certificate(chain.first()?).ok()?;
    // The public keys are compared as they are encoded: nothing else of the certificate has to be understood for that.
    let belongs = *key.public_key()? == *leaf.public_key().raw;
    belongs.then(|| {
        let held = Arc::new(CertifiedKey::new(chain.clone(), key));
        Arc::new(SingleCertAndKey::from(held)) as Arc<dyn ResolvesClientCert>
    })
}

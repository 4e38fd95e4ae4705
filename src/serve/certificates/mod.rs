//! Which keys and roots hold now: read handles for the handshake, authentication and dialling.
//!
//! In: files, a Secret, the cluster's ConfigMap. Out: [`Trust`] (whose certificates are believed), [`Serving`] (what this
//! server presents), [`KubeletAccess`] (how kubelets are spoken to), [`SessionKey`] (what logins are sealed with). Each is replaced as a whole when its source changes
//! and read without waiting; what can't be read or used is logged and leaves the last good one in place.

mod any;
mod files;
mod generate;
mod handshake;
mod kubelet;
mod secret;
mod serving;
mod session;
mod signature;
mod trust;
mod version_one;

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

pub use any::any_backend;
pub use handshake::server_config;
pub use kubelet::{
    CredentialSource, KubeletAccess, KubeletCredentialSource, KubeletSources, NoKubeletCredential,
};
pub use secret::ServingSecret;
pub use serving::{Serving, not_after};
pub use session::{SESSION_KEY_LENGTH, SessionKey};
#[cfg(test)]
pub(crate) use version_one::tests::in_version_one;

pub use trust::{CachedVerification, RequestHeader, Roots, Trust, TrustSources};

/// Why a certificate, a key or a bundle is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{path} can't be read")]
    Unreadable {
        path: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("there is no certificate in it")]
    NoCertificate,
    #[error("it is no PEM of certificates and a key")]
    Malformed(#[from] rustls::pki_types::pem::Error),
    #[error("the certificate expired at {0}")]
    Expired(String),
    #[error("the certificate can't be read")]
    Unparsable,
    #[error("certificate and key can't be used together")]
    Unusable(#[from] rustls::Error),
    #[error("the roots can't be used")]
    Roots(#[from] rustls::server::VerifierBuilderError),
    #[error("a certificate could not be made")]
    NotMade(#[from] rcgen::Error),
    #[error("there is no token in --kubelet-token-file")]
    NoToken,
    #[error(
        "--kubelet-token-file holds a token of this server's own account, which no kubelet may see"
    )]
    OwnToken,
    #[error("{0:?} is not the name of a header")]
    HeaderName(String),
}

/// The one source of cryptography of this process.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}

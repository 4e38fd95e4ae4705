//! Why a certificate, a key or a bundle is of no use, in words for the log.

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

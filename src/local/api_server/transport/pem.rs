//! PEM from files and kubeconfigs: roots, client certificates and their keys. In: where it stands. Out: its bytes, read
//! again each time.
//!
//! Refuses what is no PEM of the right kind, naming the file but nothing of its content.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretSlice};

use crate::local::api_server::error::{PemError, PemKind};
use crate::local::api_server::kubeconfig::resolve::{IdentitySource, Pem};
use crate::local::api_server::whole_file;

/// A client certificate with its key, both PEM.
#[derive(Clone)]
pub(in crate::local::api_server) struct ClientIdentity {
    pub(in crate::local::api_server) certificate: Vec<u8>,
    pub(in crate::local::api_server) key: SecretSlice<u8>,
    /// Where it is from, for people.
    pub(in crate::local::api_server) origin: String,
}

impl Eq for ClientIdentity {}

impl PartialEq for ClientIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate
            && self.key.expose_secret() == other.key.expose_secret()
    }
}

impl ClientIdentity {
    /// Reads certificate and key and looks whether they are what they should be.
    pub(in crate::local::api_server) async fn read(
        source: &IdentitySource,
    ) -> Result<Self, PemError> {
        let certificate = read(&source.certificate, PemKind::ClientCertificate).await?;
        let key = read(&source.key, PemKind::ClientKey).await?;
        Self::of(certificate, key.into(), origin(&source.certificate)).map_err(
            |failed| match failed {
                PemError::Malformed {
                    material: PemKind::ClientKey,
                    ..
                } => PemError::Malformed {
                    material: PemKind::ClientKey,
                    origin: origin(&source.key),
                },
                other => other,
            },
        )
    }

    /// Takes PEM that was got otherwise, from a plugin.
    pub(in crate::local::api_server) fn of(
        certificate: Vec<u8>,
        key: SecretSlice<u8>,
        origin: String,
    ) -> Result<Self, PemError> {
        if certificates(&certificate).is_none_or(|certificates| certificates.is_empty()) {
            return Err(PemError::Malformed {
                material: PemKind::ClientCertificate,
                origin,
            });
        }
        if PrivateKeyDer::from_pem_slice(key.expose_secret()).is_err() {
            return Err(PemError::Malformed {
                material: PemKind::ClientKey,
                origin,
            });
        }
        Ok(Self {
            certificate,
            key,
            origin,
        })
    }

    /// When the certificate ended, if it has.
    pub(in crate::local::api_server) fn expired(&self, now: SystemTime) -> Option<String> {
        let certificates = certificates(&self.certificate)?;
        let (_, certificate) = x509_parser::parse_x509_certificate(certificates.first()?).ok()?;
        let end = certificate.validity().not_after;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        // An end that is now is not over yet, as Go's `NotAfter` includes its second.
        let is_over = u64::try_from(end.timestamp()).is_ok_and(|end| end < now);
        is_over.then(|| end.to_string())
    }
}

/// The roots in a PEM, as DER.
pub(in crate::local::api_server) async fn roots(pem: &Pem) -> Result<Vec<Vec<u8>>, PemError> {
    let bytes = read(pem, PemKind::Roots).await?;
    certificates(&bytes)
        .filter(|roots| !roots.is_empty())
        .ok_or_else(|| PemError::Malformed {
            material: PemKind::Roots,
            origin: origin(pem),
        })
}

fn certificates(pem: &[u8]) -> Option<Vec<Vec<u8>>> {
    CertificateDer::pem_slice_iter(pem)
        .map(|certificate| certificate.map(|certificate| certificate.to_vec()))
        .collect::<Result<_, _>>()
        .ok()
}

/// Reads a whole PEM.
pub(in crate::local::api_server) async fn read(
    pem: &Pem,
    material: PemKind,
) -> Result<Vec<u8>, PemError> {
    match pem {
        Pem::File(path) => whole_file::read(path)
            .await
            .map_err(|cause| PemError::Unreadable {
                material,
                origin: path.display().to_string(),
                cause,
            }),
        Pem::Base64(text) => {
            STANDARD
                .decode(text.expose_secret())
                .map_err(|_| PemError::Malformed {
                    material,
                    origin: origin(pem),
                })
        }
    }
}

fn origin(pem: &Pem) -> String {
    match pem {
        Pem::File(path) => path.display().to_string(),
        Pem::Base64(_) => "the kubeconfig".to_owned(),
    }
}

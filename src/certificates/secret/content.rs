//! What the Secret holds: authorities, a serving certificate and their keys, and when they are due.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::CertificateError;
use super::super::serving::not_after;

/// What the Secret holds.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Content {
    /// The authorities that are to be trusted, newest first, PEM.
    pub(super) bundle: String,
    /// The key of the newest authority, PEM.
    pub(super) authority_key: String,
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Content {
    /// `None` when something is missing: a Secret that was applied empty is filled like one that is not there.
    pub(super) fn read(secret: &Secret) -> Option<Self> {
        let data = secret.data.as_ref()?;
        let text = |key: &str| {
            data.get(key)
                .and_then(|bytes| String::from_utf8(bytes.0.clone()).ok())
                .filter(|text| !text.is_empty())
        };
        Some(Self {
            bundle: text("ca.crt")?,
            authority_key: text("ca.key")?,
            certificate: text("tls.crt")?,
            key: text("tls.key")?,
        })
    }

    pub(super) fn write(&self, name: &str, resource_version: Option<String>) -> Secret {
        let data = [
            ("ca.crt", &self.bundle),
            ("ca.key", &self.authority_key),
            ("tls.crt", &self.certificate),
            ("tls.key", &self.key),
        ];
        Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                resource_version,
                ..ObjectMeta::default()
            },
            data: Some(
                data.into_iter()
                    .map(|(key, text)| (key.to_owned(), ByteString(text.clone().into_bytes())))
                    .collect::<BTreeMap<_, _>>(),
            ),
            ..Secret::default()
        }
    }

    /// The bundle's certificates one by one, PEM.
    pub(super) fn authorities(&self) -> Vec<String> {
        const END: &str = "-----END CERTIFICATE-----";
        self.bundle
            .split_inclusive(END)
            .filter(|part| part.contains(END))
            .map(|part| format!("{}\n", part.trim_start()))
            .collect()
    }
}

fn end_of(pem: &str) -> Result<SystemTime, CertificateError> {
    not_after(&CertificateDer::from_pem_slice(pem.as_bytes())?)
}

pub(super) fn is_valid(pem: &str, now: SystemTime) -> bool {
    end_of(pem).is_ok_and(|end| end > now)
}

pub(super) fn past_two_thirds(
    pem: &str,
    lifetime: Duration,
    now: SystemTime,
) -> Result<bool, CertificateError> {
    Ok(end_of(pem)? < now + lifetime / 3)
}

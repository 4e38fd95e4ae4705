//! What the Secret holds: authorities, a serving certificate and their keys, when they are due, and the key of logins.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::CertificateError;
use super::super::generate::CLOCK_SKEW;
use super::super::serving::{not_after, not_before};
use super::super::session::{self, SessionKeys};

/// How long a key of logins opens after its successor was made: longer than any login, and than the token of a page.
pub(super) const PREVIOUS_KEY_LIFETIME: Duration = Duration::from_secs(25 * 60 * 60);

/// How long a new key of logins only opens: every replica has read the Secret by then.
pub(super) const KEY_SPREAD_TIME: Duration = Duration::from_secs(5 * 60);

/// What the Secret holds.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SecretContent {
    /// The authorities that are to be trusted, newest first, PEM.
    pub(super) bundle: String,
    /// The key of the newest authority, PEM.
    pub(super) authority_key: String,
    pub(super) certificate: String,
    pub(super) key: String,
    /// What logins are sealed with; `None` until a replica of this version has been here.
    pub(super) session_key: Option<String>,
    /// What they were sealed with before the present certificate; `None` when it is over.
    pub(super) previous_session_key: Option<String>,
}

impl SecretContent {
    /// `None` when something is missing: a Secret that was applied empty is filled like one that is not there.
    pub(super) fn read(secret: &Secret) -> Option<Self> {
        let text = |key: &str| text(secret, key);
        Some(Self {
            bundle: text("ca.crt")?,
            authority_key: text("ca.key")?,
            certificate: text("tls.crt")?,
            key: text("tls.key")?,
            session_key: session_key(secret),
            previous_session_key: usable_key(secret, "session-previous.key"),
        })
    }

    pub(super) fn write(&self, name: &str, resource_version: Option<String>) -> Secret {
        let data = [
            ("ca.crt", Some(&self.bundle)),
            ("ca.key", Some(&self.authority_key)),
            ("tls.crt", Some(&self.certificate)),
            ("tls.key", Some(&self.key)),
            ("session.key", self.session_key.as_ref()),
            ("session-previous.key", self.previous_session_key.as_ref()),
        ];
        Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                resource_version,
                ..ObjectMeta::default()
            },
            data: Some(
                data.into_iter()
                    .filter_map(|(key, text)| Some((key, ByteString(text?.clone().into_bytes()))))
                    .map(|(key, text)| (key.to_owned(), text))
                    .collect::<BTreeMap<_, _>>(),
            ),
            ..Secret::default()
        }
    }

    /// The keys of logins as of `now`; `None` while there is none.
    pub(super) fn session_keys(&self, now: SystemTime) -> Option<SessionKeys> {
        let current = session::parse(self.session_key.as_deref()?)?;
        let previous = self.previous_session_key.as_deref();
        let keys = match previous.and_then(session::parse) {
            None => (current, None),
            // The other replicas may not have the new one yet, so it only opens until they have read it.
            Some(previous) if !self.made_before(now, KEY_SPREAD_TIME) => (previous, Some(current)),
            Some(previous) => (current, Some(previous)),
        };
        Some(SessionKeys {
            sealing: keys.0,
            other: keys.1,
        })
    }

    /// Whether nothing can be alive that the previous key sealed.
    pub(super) fn previous_key_is_over(&self, now: SystemTime) -> bool {
        self.previous_session_key.is_some() && self.made_before(now, PREVIOUS_KEY_LIFETIME)
    }

    /// Whether the certificate, and with it the key of logins, was made longer ago than this.
    fn made_before(&self, now: SystemTime, age: Duration) -> bool {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        let begin = der.ok().and_then(|der| not_before(&der).ok());
        // The begin of a certificate is set back by the skew when it is made.
        begin.is_some_and(|begin| begin + CLOCK_SKEW + age <= now)
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

/// The key of logins, if what the Secret has for one can be used.
pub(super) fn session_key(secret: &Secret) -> Option<String> {
    // A key that can't be used counts as none, and a new one is made.
    usable_key(secret, "session.key")
}

fn usable_key(secret: &Secret, name: &str) -> Option<String> {
    text(secret, name).filter(|text| session::parse(text).is_some())
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.0.clone())
        .ok()
        .filter(|text| !text.is_empty())
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
    // A third of its life is left for its successor to spread.
    Ok(end_of(pem)? < now + lifetime / 3)
}

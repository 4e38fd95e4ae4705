//! The certificate that this server presents, swapped while it serves.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::files::{self, Changes};
use super::{CertificateError, generate, provider};
use crate::lifecycle::Tasks;

/// The certificate now in force. Handshakes read it without waiting.
#[derive(Debug, Default)]
pub struct Serving {
    current: ArcSwapOption<CurrentCertificate>,
    failures: AtomicU64,
}

#[derive(Debug)]
struct CurrentCertificate {
    key: Arc<CertifiedKey>,
    not_after: SystemTime,
}

impl Serving {
    /// Serves with a pair of files, and with what they say later.
    ///
    /// # Errors
    /// The files can't be read or used as they are now.
    pub async fn from_files(
        certificate: PathBuf,
        key: PathBuf,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, CertificateError> {
        let serving = Arc::new(Self::default());
        serving.replace(&files::read(&certificate).await?, &files::read(&key).await?)?;
        let changes = Changes::of([certificate, key]);
        tasks.spawn_required("serving-certificate", follow(Arc::clone(&serving), changes));
        Ok(serving)
    }

    /// Serves with a certificate that nobody trusts by itself: development and tests.
    ///
    /// # Errors
    /// The certificate can't be made.
    pub fn self_signed() -> Result<Arc<Self>, CertificateError> {
        let made = generate::self_signed()?;
        let serving = Arc::new(Self::default());
        serving.replace(made.certificate.as_bytes(), made.key.as_bytes())?;
        Ok(serving)
    }

    /// Takes over a certificate with its key, if they are good; otherwise the last good pair stays.
    ///
    /// # Errors
    /// The pair can't be read, does not belong together, or has expired.
    pub fn replace(&self, certificate: &[u8], key: &[u8]) -> Result<(), CertificateError> {
        // Judged as a whole before it takes the place of the last one, so no handshake ever sees half of a pair.
        let held = hold(certificate, key, SystemTime::now()).inspect_err(|_| {
            self.failures.fetch_add(1, Ordering::Relaxed);
        })?;
        self.current.store(Some(Arc::new(held)));
        Ok(())
    }

    /// The end of the present certificate's validity; `None` while there is no certificate.
    pub fn not_after(&self) -> Option<SystemTime> {
        self.current.load().as_ref().map(|held| held.not_after)
    }

    /// How often a new certificate was of no use.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current
            .load()
            .as_ref()
            // `None` ends the handshake, as before the first certificate there is nothing to show.
            .map(|held| Arc::clone(&held.key))
    }
}

async fn follow(serving: Arc<Serving>, mut changes: Changes<2>) {
    loop {
        let [certificate, key] = changes.next().await;
        match serving.replace(&certificate, &key) {
            Ok(()) => tracing::info!("a new serving certificate is in force"),
            Err(failed) => {
                tracing::error!(error = %failed, "the new serving certificate is of no use, the last good one stays");
            }
        }
    }
}

fn hold(
    certificate: &[u8],
    key: &[u8],
    now: SystemTime,
) -> Result<CurrentCertificate, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>()?;
    let leaf = chain.first().ok_or(CertificateError::NoCertificate)?;
    let not_after = not_after(leaf)?;
    // An expired certificate is refused by every client, and the last one may still be good.
    if not_after <= now {
        return Err(CertificateError::Expired(humane(not_after)));
    }
    let key = PrivateKeyDer::from_pem_slice(key)?;
    // Also compares the key with the certificate, so that a pair that does not belong together is refused here.
    let key = CertifiedKey::from_der(chain, key, &provider())?;
    Ok(CurrentCertificate {
        key: Arc::new(key),
        not_after,
    })
}

/// When a certificate's validity ends.
pub fn not_after(certificate: &CertificateDer<'_>) -> Result<SystemTime, CertificateError> {
    Ok(validity(certificate)?.1)
}

/// When a certificate's validity begins.
pub(super) fn not_before(certificate: &CertificateDer<'_>) -> Result<SystemTime, CertificateError> {
    Ok(validity(certificate)?.0)
}

fn validity(
    certificate: &CertificateDer<'_>,
) -> Result<(SystemTime, SystemTime), CertificateError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|_| CertificateError::Unparsable)?;
    let time = |time: x509_parser::time::ASN1Time| {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
    };
    let validity = parsed.validity();
    Ok((time(validity.not_before), time(validity.not_after)))
}

fn humane(time: SystemTime) -> String {
    let since_epoch = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    x509_parser::time::ASN1Time::from_timestamp(seconds)
        .map_or_else(|_| "an unknown time".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_pair_is_taken_over() {
        let serving = Serving::self_signed().unwrap();
        let before = serving.not_after().unwrap();
        let made = generate::self_signed().unwrap();
        serving
            .replace(made.certificate.as_bytes(), made.key.as_bytes())
            .unwrap();
        assert!(serving.not_after().unwrap() >= before);
        assert_eq!(serving.failures(), 0);
    }

    #[test]
    fn an_expired_or_broken_pair_leaves_the_last_good_one_and_is_counted() {
        let serving = Serving::self_signed().unwrap();
        let good = serving.not_after();
        let expired = generate::expired().unwrap();
        let other = generate::self_signed().unwrap();
        for (certificate, key) in [
            (expired.certificate.as_str(), expired.key.as_str()),
            ("", ""),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                other.key.as_str(),
            ),
            (other.certificate.as_str(), expired.key.as_str()),
        ] {
            assert!(
                serving
                    .replace(certificate.as_bytes(), key.as_bytes())
                    .is_err()
            );
            assert_eq!(serving.not_after(), good);
        }
        assert_eq!(serving.failures(), 4);
    }
}

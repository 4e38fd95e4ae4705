//! Whether a connection's chain is trusted now.
//!
//! Judged for every request, as the roots may have been replaced since the handshake; the signatures are checked once
//! for each set of roots and remembered with the connection, for as long as roots and leaf hold.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use rustls::pki_types::CertificateDer;

use super::AuthenticationError;
use crate::serve::certificates::{CachedVerification, Roots};

/// A refusal is looked at again after this long: a certificate may become valid, an intermediate may not. So is a chain
/// with a certificate that can't be read, as nobody knows when that one ends.
const SHORT_LIFETIME: Duration = Duration::from_secs(10);

/// Accepts or refuses a chain under `roots`, as of `now`.
pub(super) fn verify(
    remembered: &ArcSwapOption<CachedVerification>,
    roots: &Roots,
    chain: &[CertificateDer<'static>],
    now: SystemTime,
) -> Result<(), AuthenticationError> {
    // Read without a lock. Two requests that find nothing may both verify, which is wasted and not wrong.
    if let Some(cached) = remembered.load().as_deref()
        // Roots that were replaced have another number, so a verdict never outlives the roots that it is of.
        && cached.roots == roots.id()
        && now < cached.until
    {
        let unknown = || AuthenticationError::Certificate(Arc::new(unknown_issuer()));
        return if cached.accepted {
            Ok(())
        } else {
            Err(unknown())
        };
    }
    let outcome = roots.verify(chain, now);
    let accepted = outcome.is_ok();
    // A yes holds until the first certificate of the chain ends; a no only shortly, as it may become a yes.
    let until = if accepted {
        end_of(chain).unwrap_or(now + SHORT_LIFETIME)
    } else {
        now + SHORT_LIFETIME
    };
    remembered.store(Some(Arc::new(CachedVerification {
        roots: roots.id(),
        until,
        accepted,
    })));
    outcome.map_err(|refused| AuthenticationError::Certificate(Arc::new(refused)))
}

fn unknown_issuer() -> rustls::Error {
    rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)
}

/// The earliest end of any certificate in the chain: past it the signatures have to be looked at again. `None` when one
/// of them does not say.
fn end_of(chain: &[CertificateDer<'static>]) -> Option<SystemTime> {
    let ends: Option<Vec<SystemTime>> = chain
        .iter()
        .map(|der| {
            let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
            let seconds = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
        })
        .collect();
    ends?.into_iter().min()
}

//! Certificates that this server makes itself: ECDSA on P-256, as short-lived as their use allows.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::CertificateError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an authority is valid: ten years.
pub(super) const AUTHORITY_LIFETIME: Duration = Duration::from_secs(3650 * DAY.as_secs());

/// How long a serving certificate is valid.
pub(super) const LEAF_LIFETIME: Duration = Duration::from_secs(90 * DAY.as_secs());

/// Clocks of a cluster differ: what is made now is valid a little earlier.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// A certificate and its key, PEM.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// A new authority for the serving certificates of one API group.
pub(super) fn authority(name: &str) -> Result<Pair, CertificateError> {
    let key = KeyPair::generate()?;
    let mut params = params(name, &[], AUTHORITY_LIFETIME)?;
    // A path length of zero: what it signs can sign nothing.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?.pem();
    Ok(Pair {
        certificate,
        key: key.serialize_pem(),
    })
}

/// A serving certificate for `names`, signed by `authority`.
pub(super) fn leaf(authority: &Pair, names: &[String]) -> Result<Pair, CertificateError> {
    let issuer =
        Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let key = KeyPair::generate()?;
    let name = names.first().map_or("throughway", String::as_str);
    let mut params = params(name, names, LEAF_LIFETIME)?;
    // ECDSA signs and never encrypts, so key encipherment is left out.
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(Pair {
        certificate,
        key: key.serialize_pem(),
    })
}

/// A certificate for this machine that vouches for itself.
pub(super) fn self_signed() -> Result<Pair, CertificateError> {
    let names = [
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let key = KeyPair::generate()?;
    let certificate = params("throughway", &names, LEAF_LIFETIME)?
        .self_signed(&key)?
        .pem();
    Ok(Pair {
        certificate,
        key: key.serialize_pem(),
    })
}

fn params(
    name: &str,
    names: &[String],
    lifetime: Duration,
) -> Result<CertificateParams, CertificateError> {
    let now = SystemTime::now();
    let mut params = CertificateParams::new(names.to_vec())?;
    // A common name holds at most 64 characters; the names that count are the alternative ones.
    let common_name: String = name.chars().take(64).collect();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + lifetime).into();
    Ok(params)
}

/// A pair whose time is over.
#[cfg(test)]
pub(super) fn expired() -> Result<Pair, CertificateError> {
    let key = KeyPair::generate()?;
    let mut params = params("throughway", &[], LEAF_LIFETIME)?;
    params.not_before = (SystemTime::now() - 2 * DAY).into();
    params.not_after = (SystemTime::now() - DAY).into();
    let certificate = params.self_signed(&key)?.pem();
    Ok(Pair {
        certificate,
        key: key.serialize_pem(),
    })
}

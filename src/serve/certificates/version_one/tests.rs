//! Who is believed with a certificate of version 1, and who is not.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SigningKey,
};

use super::super::Roots;
use super::super::provider;
use super::*;

/// Elements of DER with their tags and lengths.
fn elements(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut elements = Vec::new();
    while let Ok((behind, _)) = Any::from_der(rest) {
        elements.push(&rest[..rest.len() - behind.len()]);
        rest = behind;
    }
    elements
}

fn content(element: &[u8]) -> &[u8] {
    Any::from_der(element).unwrap().1.data
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82][..], &length, content].concat()
}

/// The same certificate in version 1: without its version, without its extensions, signed anew.
pub(crate) fn in_version_one(certificate: &[u8], issuer: &KeyPair) -> CertificateDer<'static> {
    with_parts(certificate, issuer, |tbs| {
        tbs.retain(|part| part[0] & 0xc0 == 0);
    })
}

/// A certificate whose parts were changed, signed anew.
fn with_parts(
    certificate: &[u8],
    issuer: &KeyPair,
    change: impl FnOnce(&mut Vec<&[u8]>),
) -> CertificateDer<'static> {
    let parts = elements(content(certificate));
    let mut tbs = elements(content(parts[0]));
    change(&mut tbs);
    let tbs = element(0x30, &tbs.concat());
    let signature = [&[0][..], &issuer.sign(&tbs).unwrap()].concat();
    let signature = element(0x03, &signature);
    element(0x30, &[&tbs, parts[1], &signature].concat()).into()
}

struct Authority {
    certificate: CertificateDer<'static>,
    params: CertificateParams,
    key: KeyPair,
}

fn authority(change: impl FnOnce(&mut CertificateParams)) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap().der().clone();
    Authority {
        certificate,
        params,
        key,
    }
}

fn plain() -> Authority {
    authority(|_| {})
}

impl Authority {
    fn issue(&self) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "alice");
        params.not_before = (SystemTime::now() - HOUR).into();
        params.not_after = (SystemTime::now() + HOUR).into();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(&key, &issuer).unwrap().der().clone()
    }

    fn issue_version_one(&self) -> CertificateDer<'static> {
        in_version_one(&self.issue(), &self.key)
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn verify_leaf(
    leaf: &CertificateDer<'_>,
    roots: &[CertificateDer<'static>],
    now: SystemTime,
) -> Result<(), Disbelief> {
    let algorithms = &provider().signature_verification_algorithms;
    verify(leaf, roots, now, algorithms)
}

#[test]
fn a_leaf_that_a_root_signed_itself_is_believed_while_both_hold() {
    let (root, other, now) = (plain(), plain(), SystemTime::now());
    let leaf = root.issue_version_one();
    assert!(is_version_one(&leaf));
    let roots = [other.certificate.clone(), root.certificate.clone()];
    assert_eq!(verify_leaf(&leaf, &roots, now), Ok(()));
    assert_eq!(
        verify_leaf(&leaf, &roots, now - 2 * HOUR),
        Err(Disbelief::Time)
    );
    assert_eq!(
        verify_leaf(&leaf, &roots, now + 2 * HOUR),
        Err(Disbelief::Time)
    );
    // The name is the same, the key is not.
    let foreign = verify_leaf(&leaf, &[other.certificate], now);
    assert_eq!(foreign, Err(Disbelief::UnknownIssuer));
    assert_eq!(verify_leaf(&leaf, &[], now), Err(Disbelief::UnknownIssuer));
}

#[test]
fn a_root_of_version_one_may_sign_as_the_administrator_put_it_there() {
    let root = plain();
    let version_one = in_version_one(&root.certificate, &root.key);
    let leaf = root.issue_version_one();
    assert_eq!(
        verify_leaf(&leaf, &[version_one], SystemTime::now()),
        Ok(())
    );
}

#[test]
fn a_root_that_may_not_sign_clients_makes_no_leaf_believed() {
    let now = SystemTime::now();
    for (what, root) in [
        (
            "no authority",
            authority(|params| params.is_ca = IsCa::NoCa),
        ),
        (
            "signs lists only",
            authority(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]),
        ),
        (
            "signs servers only",
            authority(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
        (
            "is bound to names",
            authority(|params| {
                params.name_constraints = Some(NameConstraints {
                    permitted_subtrees: vec![GeneralSubtree::DnsName("example".into())],
                    excluded_subtrees: Vec::new(),
                });
            }),
        ),
        (
            "is over",
            authority(|params| params.not_after = (now - HOUR).into()),
        ),
    ] {
        let leaf = root.issue_version_one();
        let judged = verify_leaf(&leaf, &[root.certificate], now);
        assert_eq!(judged, Err(Disbelief::UnknownIssuer), "{what}");
    }
    let good = authority(|params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let leaf = good.issue_version_one();
    assert_eq!(verify_leaf(&leaf, &[good.certificate], now), Ok(()));
}

#[test]
fn a_leaf_of_version_one_signs_nothing() {
    let (root, now) = (plain(), SystemTime::now());
    // Somebody with a certificate of version 1 and its key makes one for another name.
    let (middle, leaf_key) = (plain(), KeyPair::generate().unwrap());
    let issuer = Issuer::from_params(&root.params, &root.key);
    let middle_leaf = middle.params.signed_by(&middle.key, &issuer).unwrap();
    let middle_leaf = in_version_one(middle_leaf.der(), &root.key);
    assert_eq!(
        verify_leaf(&middle_leaf, std::slice::from_ref(&root.certificate), now),
        Ok(())
    );
    let forged_issuer = Issuer::from_params(&middle.params, &middle.key);
    let forged = root.params.signed_by(&leaf_key, &forged_issuer).unwrap();
    let pem = rustls_pem(&root.certificate);
    let roots = Roots::parse(pem.as_bytes()).unwrap();
    for forged in [
        forged.der().clone(),
        in_version_one(forged.der(), &middle.key),
        middle.issue(),
        middle.issue_version_one(),
    ] {
        let refused = roots.verify(&[forged, middle_leaf.clone()], now);
        assert!(refused.is_err());
    }
    roots.verify(&[middle_leaf], now).unwrap();
    roots.verify(&[root.issue_version_one()], now).unwrap();
    roots.verify(&[root.issue()], now).unwrap();
}

fn rustls_pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[test]
fn no_flipped_bit_and_no_part_of_a_later_version_is_believed() {
    let (root, now) = (plain(), SystemTime::now());
    let leaf = root.issue_version_one();
    let roots = [root.certificate.clone()];
    for byte in 0..leaf.len() {
        let mut flipped = leaf.to_vec();
        flipped[byte] ^= 1;
        assert!(
            verify_leaf(&flipped.into(), &roots, now).is_err(),
            "byte {byte}"
        );
    }
    let longer = [&leaf[..], &[0]].concat();
    assert!(verify_leaf(&longer.into(), &roots, now).is_err());
    // Version 1 with the extensions of version 3, properly signed.
    let mixed = with_parts(&root.issue(), &root.key, |tbs| {
        tbs.remove(0);
    });
    assert!(verify_leaf(&mixed, &roots, now).is_err());
    assert!(
        verify_leaf(&root.issue(), &roots, now).is_err(),
        "version 3"
    );
}

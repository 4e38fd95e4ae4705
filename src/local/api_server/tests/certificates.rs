//! Certificates for tests.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate and its key, PEM.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

pub(super) struct Authority(Pair);

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        Self::made(params(name, &[], DAY))
    }

    /// An authority that is a server as well.
    pub(super) fn named(name: &str, host: &str) -> Self {
        Self::made(params(name, &[host], DAY))
    }

    fn made(mut params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(Pair {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        })
    }

    pub(super) fn pair(&self) -> &Pair {
        &self.0
    }

    pub(super) fn pem(&self) -> &str {
        &self.0.certificate
    }

    /// The authority as a kubeconfig has it.
    pub(super) fn data(&self) -> String {
        data(self.pem())
    }

    pub(super) fn issue(&self, name: &str, names: &[&str]) -> Pair {
        self.sign(&params(name, names, DAY))
    }

    pub(super) fn issue_for_days(&self, name: &str, days: u32) -> Pair {
        self.sign(&params(name, &[], days * DAY))
    }

    pub(super) fn issue_expired(&self, name: &str) -> Pair {
        let mut params = params(name, &[], DAY);
        params.not_before = (SystemTime::now() - 3 * DAY).into();
        params.not_after = (SystemTime::now() - DAY).into();
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let authority_key = KeyPair::from_pem(&self.0.key).unwrap();
        let issuer = Issuer::from_ca_cert_pem(self.pem(), authority_key).unwrap();
        let key = KeyPair::generate().unwrap();
        Pair {
            certificate: params.signed_by(&key, &issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

/// Base64, as kubeconfigs have it.
pub(super) fn data(pem: &str) -> String {
    STANDARD.encode(pem)
}

fn params(name: &str, names: &[&str], lifetime: Duration) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (SystemTime::now() - DAY).into();
    params.not_after = (SystemTime::now() + lifetime).into();
    params
}

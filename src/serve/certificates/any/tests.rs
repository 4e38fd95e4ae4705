//! Handshakes with backends whose certificates no library likes.

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::super::version_one::tests::in_version_one;
use super::*;

/// A handshake with a backend that presents `certificate` and signs with `key`.
async fn handshake(
    version: &'static SupportedProtocolVersion,
    certificate: CertificateDer<'static>,
    key: &KeyPair,
) -> std::io::Result<()> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = provider().key_provider.load_private_key(key).unwrap();
    let held = Arc::new(CertifiedKey::new(vec![certificate], key));
    let resolver: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(held));
    let server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from("10.0.0.1").unwrap();
    let connector = TlsConnector::from(any_backend(&[b"http/1.1"]));
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let (connected, _) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    connected.map(|_| ())
}

fn odd_certificates(key: &KeyPair) -> [(&'static str, CertificateDer<'static>); 3] {
    let ordinary = CertificateParams::new(vec!["web".to_owned()]).unwrap();
    let version_one = in_version_one(ordinary.self_signed(key).unwrap().der(), key);
    let mut critical = ordinary.clone();
    let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
    unknown.set_criticality(true);
    critical.custom_extensions = vec![unknown];
    let critical = critical.self_signed(key).unwrap().der().clone();
    let ordinary = ordinary.self_signed(key).unwrap().der().clone();
    [
        ("ordinary", ordinary),
        ("version 1", version_one),
        ("a critical extension that nobody knows", critical),
    ]
}

#[tokio::test]
async fn certificates_that_webpki_does_not_read_are_taken_and_their_key_is_proven() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (what, certificate) in odd_certificates(&key) {
            let done = handshake(version, certificate.clone(), &key).await;
            assert!(done.is_ok(), "{what}: {done:?}");
            let refused = handshake(version, certificate, &other).await;
            assert!(refused.is_err(), "{what}, signed with another key");
        }
    }
}

/// Made with `openssl req -x509 -newkey rsa:1024 -nodes -sha256`, and `openssl dgst -sha256 -sign`; the key is gone.
const SHORT_RSA: &[u8] = include_bytes!("short_rsa.der");
const SHORT_RSA_SIGNATURE: &[u8] = include_bytes!("short_rsa.signature");
const MESSAGE: &[u8] = b"a handshake's transcript";

fn short(scheme: SignatureScheme, message: &[u8]) -> Result<HandshakeSignatureValid, Error> {
    let signed = Signed {
        version: ProtocolVersion::TLSv1_2,
        message,
        scheme,
        signature: SHORT_RSA_SIGNATURE,
    };
    AnyServer::new().verify(&SHORT_RSA.into(), signed)
}

#[test]
fn a_short_rsa_key_is_proven_where_there_is_an_algorithm_for_it() {
    assert!(short(SignatureScheme::RSA_PKCS1_SHA256, MESSAGE).is_ok());
    let other = short(SignatureScheme::RSA_PKCS1_SHA256, b"another transcript");
    assert!(other.is_err());
    assert!(short(SignatureScheme::RSA_PKCS1_SHA512, MESSAGE).is_err());
    assert!(short(SignatureScheme::ECDSA_NISTP256_SHA256, MESSAGE).is_err());
    // Nothing can check this one, as the front page says.
    assert!(short(SignatureScheme::RSA_PSS_SHA256, MESSAGE).is_ok());
}

#[test]
fn a_short_rsa_key_is_refused_everywhere_else() {
    let signed = Signed {
        version: ProtocolVersion::TLSv1_2,
        message: MESSAGE,
        scheme: SignatureScheme::RSA_PKCS1_SHA256,
        signature: SHORT_RSA_SIGNATURE,
    };
    let algorithms = &provider().signature_verification_algorithms;
    let refused = signature::verify_with_bare_key(&SHORT_RSA.into(), signed, algorithms);
    assert!(refused.is_err());
}

//! Whom TLS believes, and what is said when it does not.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_rustls::TlsAcceptor;

use super::certificates::{Authority, Pair, data};
use super::server::Server;
use super::{Folder, ask, load};
use crate::local::api_server::error::UntrustedReason;
use crate::local::api_server::{ConnectError, ConnectionPurpose};
use crate::serve::certificates::{Serving, in_version_one, server_config};

async fn refused(cluster: &str) -> ConnectError {
    let folder = Folder::new();
    let api = load(&folder, cluster, "{}").await.unwrap();
    api.connect(ConnectionPurpose::Exchange).await.unwrap_err()
}

#[tokio::test]
async fn tls_server_name_is_what_the_certificate_is_checked_for() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let mut server = Server::start(&authority.issue("api", &["api.example"]), &authority).await;
    let (url, roots) = (server.url(), authority.data());
    let named = format!(
        "{{server: {url}, certificate-authority-data: {roots}, tls-server-name: api.example}}"
    );
    ask(&load(&folder, &named, "{}").await.unwrap()).await;
    assert_eq!(server.next().server_name.as_deref(), Some("api.example"));

    let unnamed = format!("{{server: {url}, certificate-authority-data: {roots}}}");
    let failed = refused(&unnamed).await;
    let ConnectError::Untrusted { reason, .. } = &failed else {
        panic!("{failed}")
    };
    let name = "127.0.0.1".to_owned();
    assert_eq!(*reason, UntrustedReason::OtherName { name });
    let shown = format!("{:?}", failed.problem());
    assert!(shown.contains("--tls-server-name"), "{shown}");
}

#[tokio::test]
async fn another_authority_is_refused() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let server = Server::start(&authority.issue("api", &["127.0.0.1"]), &authority).await;
    let cluster = format!(
        "{{server: {}, certificate-authority-data: {}}}",
        server.url(),
        other.data()
    );
    let failed = refused(&cluster).await;
    assert!(
        matches!(
            failed,
            ConnectError::Untrusted {
                reason: UntrustedReason::UnknownIssuer,
                ..
            }
        ),
        "{failed}"
    );
}

#[tokio::test]
async fn the_systems_roots_do_not_know_a_private_authority() {
    let authority = Authority::new("root");
    let server = Server::start(&authority.issue("api", &["127.0.0.1"]), &authority).await;
    let failed = refused(&format!("{{server: {}}}", server.url())).await;
    assert!(matches!(failed, ConnectError::Untrusted { .. }), "{failed}");
}

#[tokio::test]
async fn insecure_skip_tls_verify_believes_anything() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let mut server = Server::start(&authority.issue("api", &["other.example"]), &authority).await;
    let cluster = format!(
        "{{server: {}, insecure-skip-tls-verify: true}}",
        server.url()
    );
    let api = load(&folder, &cluster, "{token: one}").await.unwrap();
    ask(&api).await;
    assert_eq!(server.next().authorization(), Some("Bearer one"));
}

#[tokio::test]
async fn roots_in_a_file_beside_the_kubeconfig_are_read_again() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let server = Server::start(&authority.issue("api", &["127.0.0.1"]), &authority).await;
    folder.write("ca.crt", Authority::new("other").pem());
    let cluster = format!(
        "{{server: {}, certificate-authority: ca.crt}}",
        server.url()
    );
    let api = load(&folder, &cluster, "{}").await.unwrap();
    api.connect(ConnectionPurpose::Exchange).await.unwrap_err();
    folder.write("ca.crt", authority.pem());
    let connected = api.connect(ConnectionPurpose::Exchange).await.unwrap();
    assert!(connected.speaks_http2);
    assert_eq!(connected.generation, 0);
}

#[tokio::test]
async fn a_server_that_is_away_is_told_by_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failed = refused(&format!("{{server: 'https://{address}'}}")).await;
    assert_eq!(failed.to_string(), format!("nothing listens on {address}"));
    let failed = refused("{server: 'https://nowhere.invalid:6443'}").await;
    assert!(
        matches!(failed, ConnectError::UnknownName { .. }),
        "{failed}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let failed = refused(&format!("{{server: 'https://{address}'}}")).await;
    assert!(
        matches!(failed, ConnectError::HandshakeTimeout { .. }),
        "{failed}"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_no_trouble_of_trust() {
    use tokio::io::AsyncWriteExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cluster = format!("{{server: 'https://{address}'}}");
    let (failed, ()) = tokio::join!(refused(&cluster), async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    });
    assert!(matches!(failed, ConnectError::Handshake { .. }), "{failed}");
}

#[tokio::test]
async fn a_server_that_vouches_for_itself_is_believed_by_those_who_have_its_certificate() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (own, other) = (
        Authority::named("api", "127.0.0.1"),
        Authority::named("api", "other.example"),
    );
    for server_has in [&own, &other] {
        let mut server = Server::start(server_has.pair(), &authority).await;
        let cluster = |roots: &Authority| {
            format!(
                "{{server: {}, certificate-authority-data: {}}}",
                server.url(),
                roots.data()
            )
        };
        let elsewhere = refused(&cluster(&authority)).await;
        assert!(matches!(elsewhere, ConnectError::Untrusted { .. }));
        if std::ptr::eq(server_has, &own) {
            let api = load(&folder, &cluster(&own), "{}").await.unwrap();
            ask(&api).await;
            server.next();
        } else {
            let failed = refused(&cluster(&other)).await;
            let named = matches!(
                failed,
                ConnectError::Untrusted {
                    reason: UntrustedReason::OtherName { .. },
                    ..
                }
            );
            assert!(named, "{failed}");
        }
    }
}

/// An X.509 version 1 certificate of this authority with its key, and the certificate's bytes.
fn of_version_one(authority: &Authority) -> (Pair, CertificateDer<'static>) {
    let ordinary = authority.issue("microk8s-admin", &[]);
    let der = CertificateDer::from_pem_slice(ordinary.certificate.as_bytes()).unwrap();
    let key = rcgen::KeyPair::from_pem(&authority.pair().key).unwrap();
    let der = in_version_one(&der, &key);
    let text = base64(&der);
    let certificate = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    let key = ordinary.key;
    (Pair { certificate, key }, der)
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn user(certificate: &str, key: &str) -> String {
    let (certificate, key) = (data(certificate), data(key));
    format!("{{client-certificate-data: {certificate}, client-key-data: {key}}}")
}

#[tokio::test]
async fn a_client_certificate_of_version_one_is_presented() {
    let (folder, authority) = (Folder::new(), Authority::new("root"));
    let (pair, der) = of_version_one(&authority);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(server_config(
        Serving::self_signed().unwrap(),
        crate::serve::config::Http2Serving::Enabled,
    ));
    let cluster = format!("{{server: 'https://{address}', insecure-skip-tls-verify: true}}");
    let api = load(&folder, &cluster, &user(&pair.certificate, &pair.key))
        .await
        .unwrap();
    let (connected, accepted) = tokio::join!(api.connect(ConnectionPurpose::Exchange), async {
        let (tcp, _) = listener.accept().await.unwrap();
        acceptor.accept(tcp).await.unwrap()
    });
    connected.unwrap();
    let presented = accepted.get_ref().1.peer_certificates().unwrap();
    assert_eq!(presented, [der]);

    // The key of another certificate is still refused before anything is sent.
    let other = authority.issue("other", &[]);
    let api = load(&folder, &cluster, &user(&pair.certificate, &other.key)).await;
    let failed = match api {
        Ok(api) => api
            .connect(ConnectionPurpose::Exchange)
            .await
            .unwrap_err()
            .to_string(),
        Err(failed) => failed.to_string(),
    };
    assert!(failed.contains("can't be used together"), "{failed}");
}

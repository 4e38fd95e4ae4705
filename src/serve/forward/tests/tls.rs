//! TLS as backends have it: ends without `close_notify`, alerts, and suites that are not offered here.

use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::serve::certificates::{Serving, server_config};

async fn accept(backend: &Backend) -> TlsStream<TcpStream> {
    let config = server_config(
        Serving::self_signed().unwrap(),
        crate::serve::config::Http2Serving::Disabled,
    );
    let stream = TlsAcceptor::from(config);
    stream.accept(backend.accept().await).await.unwrap()
}

/// What the caller gets of a backend that sends this, then these bytes below TLS, and closes without `close_notify`.
async fn received(response: &[u8], below_tls: &[u8]) -> String {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Https, &[backend.address]);
    caller
        .write_all(get("/", "Connection: close\r\n").as_bytes())
        .await
        .unwrap();
    let mut stream = accept(&backend).await;
    head(&mut stream).await;
    stream.write_all(response).await.unwrap();
    stream.flush().await.unwrap();
    let (mut tcp, _) = stream.into_inner();
    tcp.write_all(below_tls).await.unwrap();
    drop(tcp);
    let received = rest(&mut caller).await;
    drop(caller);
    s.end().await;
    received
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_end_between_two_records() {
    let response = b"HTTP/1.1 200 OK\r\n\r\nall of it";
    let whole = received(response, b"").await;
    assert!(whole.starts_with("HTTP/1.1 200"), "{whole}");
    assert!(whole.ends_with("9\r\nall of it\r\n0\r\n\r\n"), "{whole}");
    let cut = received(response, &[0x17, 3, 3, 0, 50, 1]).await;
    assert!(!cut.ends_with("0\r\n\r\n"), "{cut}");
}

#[tokio::test]
async fn a_length_or_a_chunk_that_is_missing_at_such_an_end_is_no_whole_response() {
    let short = received(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf.", b"").await;
    let (head, body) = short.split_once("\r\n\r\n").unwrap();
    assert!(
        head.to_ascii_lowercase().contains("content-length: 10"),
        "{short}"
    );
    assert!("half.".starts_with(body), "{short}");
    let response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf.\r\n";
    let unfinished = received(response, b"").await;
    assert!(!unfinished.ends_with("0\r\n\r\n"), "{unfinished}");
}

fn wants_a_client_certificate(
    version: &'static SupportedProtocolVersion,
    protocols: &[&[u8]],
) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(["backend".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_backend_that_wants_a_client_certificate_is_named_as_that() {
    for (version, protocols) in [
        (&rustls::version::TLS13, &[b"http/1.1".as_slice()][..]),
        (&rustls::version::TLS13, &[b"h2".as_slice()][..]),
        (&rustls::version::TLS12, &[b"http/1.1".as_slice()][..]),
    ] {
        let (mut s, backend) = (Setting::new().await, Backend::new().await);
        let mut caller = s.caller(Scheme::Https, &[backend.address]);
        caller
            .write_all(get("/", "Connection: close\r\n").as_bytes())
            .await
            .unwrap();
        let acceptor = wants_a_client_certificate(version, protocols);
        let refused = acceptor.accept(backend.accept().await).into_fallible();
        // The connection stays open, so that nothing but the alert can end the exchange.
        let (_, _open) = refused.await.err().unwrap();
        let received = rest(&mut caller).await;
        assert!(received.starts_with("HTTP/1.1 502"), "{received}");
        assert!(received.contains("certificate required"), "{received}");
        assert!(
            received.contains("it wants a client certificate"),
            "{received}"
        );
        drop(caller);
        s.end().await;
    }
}

#[tokio::test]
async fn a_backend_that_takes_no_suite_on_offer_is_told_with_what_is_offered() {
    let (mut s, backend) = (Setting::new().await, Backend::new().await);
    let mut caller = s.caller(Scheme::Https, &[backend.address]);
    caller
        .write_all(get("/", "Connection: close\r\n").as_bytes())
        .await
        .unwrap();
    let mut stream = backend.accept().await;
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.unwrap();
    // A fatal "handshake failure", as OpenSSL and Go send it when no suite is in common.
    stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).await.unwrap();
    let received = rest(&mut caller).await;
    assert!(received.starts_with("HTTP/1.1 502"), "{received}");
    assert!(received.contains("handshake failure"), "{received}");
    assert!(received.contains("suites of CBC"), "{received}");
    drop(caller);
    s.end().await;
}

//! A TLS server on loopback that says what arrived: headers, client certificate, name, protocol.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::certificates::{Authority, Pair};

/// What a request brought along.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) headers: HeaderMap,
    pub(super) path: String,
    pub(super) body: String,
    /// The common name of the client certificate.
    pub(super) client: Option<String>,
    pub(super) server_name: Option<String>,
}

impl Arrived {
    pub(super) fn authorization(&self) -> Option<&str> {
        let value = self.headers.get(http::header::AUTHORIZATION)?;
        Some(value.to_str().unwrap())
    }
}

type ClientResponse = dyn Fn(&Arrived) -> Response<Body> + Send + Sync;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    arrived: mpsc::UnboundedReceiver<Arrived>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Listens with a certificate; client certificates of `clients` are taken, and wished for.
    pub(super) async fn start(certificate: &Pair, clients: &Authority) -> Self {
        Self::responding(certificate, clients, |_| Response::new(Body::from("{}"))).await
    }

    pub(super) async fn responding(
        certificate: &Pair,
        clients: &Authority,
        response: impl Fn(&Arrived) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(settings(certificate, clients)));
        let (sender, arrived) = mpsc::unbounded_channel();
        let response: Arc<ClientResponse> = Arc::new(response);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                let sender = sender.clone();
                let response = Arc::clone(&response);
                connections.spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else {
                        return;
                    };
                    serve(tls, sender, response).await;
                });
            }
        });
        Self {
            address,
            arrived,
            _tasks: tasks,
        }
    }

    /// Waits for a request.
    pub(super) async fn asked(&mut self) -> Arrived {
        self.arrived.recv().await.expect("it serves")
    }

    /// The next request that arrived.
    pub(super) fn next(&mut self) -> Arrived {
        self.arrived.try_recv().expect("a request has arrived")
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

fn settings(certificate: &Pair, clients: &Authority) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(clients.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
    let mut settings = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    settings
}

async fn serve(
    tls: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    sender: mpsc::UnboundedSender<Arrived>,
    response: Arc<ClientResponse>,
) {
    let session = tls.get_ref().1;
    let client = session.peer_certificates().map(|chain| {
        let (_, certificate) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
        let mut names = certificate.subject().iter_common_name();
        names.next().unwrap().as_str().unwrap().to_owned()
    });
    let server_name = session.server_name().map(str::to_owned);
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let (client, server_name) = (client.clone(), server_name.clone());
        let (sender, response) = (sender.clone(), Arc::clone(&response));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let arrived = Arrived {
                headers: head.headers,
                path: head.uri.path().to_owned(),
                body: String::from_utf8(body.to_vec()).unwrap(),
                client,
                server_name,
            };
            let response = response(&arrived);
            sender.send(arrived).ok();
            Ok::<_, hyper::Error>(response)
        }
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(tls), service)
        .await
        .ok();
}

//! What `kubectl proxy` is to a browser: plain HTTP on loopback in, TLS with the user's token out.
//!
//! It forwards everything, upgrades too, and writes down the target of every request: so a request that left an app's
//! prefix is found even where the browser itself would not tell of it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use throughway_testing::serving::Serving;
use throughway_testing::tls::trusting_any_server;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The running relay; it ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    pub address: SocketAddr,
    pub asked: watch::Receiver<Vec<String>>,
    _serving: Serving,
}

struct Shared {
    server: SocketAddr,
    token: String,
    tls: TlsConnector,
    asked: watch::Sender<Vec<String>>,
}

impl Relay {
    pub async fn start(server: SocketAddr, token: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let (sender, asked) = watch::channel(Vec::new());
        let shared = Arc::new(Shared {
            server,
            token: format!("Bearer {token}"),
            tls: TlsConnector::from(Arc::new(trusting_any_server(b"http/1.1"))),
            asked: sender,
        });
        let serving = Serving::http1(listener, move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok(shared.respond(request).await) }
        });
        Self {
            address: serving.address,
            asked,
            _serving: serving,
        }
    }
}

impl Shared {
    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let target = request.uri().to_string();
        self.asked.send_modify(|asked| asked.push(target));
        self.send_on(request).await.unwrap_or_else(|failed| {
            let mut response = Response::new(Body::from(format!("the relay: {failed}")));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        })
    }

    async fn send_on(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Failed> {
        let caller = hyper::upgrade::on(&mut request);
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, self.token.parse()?);
        headers.insert(header::HOST, self.server.to_string().parse()?);
        let tcp = TcpStream::connect(self.server).await?;
        let name = ServerName::IpAddress(self.server.ip().into());
        let stream = self.tls.connect(name, tcp).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.with_upgrades());
        let mut response = sender.send_request(request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response.map(Body::new));
        }
        let server = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            if let Ok((caller, server)) = tokio::try_join!(caller, server) {
                // A tunnel that breaks off has ended.
                let _ = tokio::io::copy_bidirectional(
                    &mut TokioIo::new(caller),
                    &mut TokioIo::new(server),
                )
                .await;
            }
        });
        Ok(response.map(|_| Body::empty()))
    }
}

//! A client that says exactly what it is told and shows exactly what it gets: HTTP/1.1 over TLS, one connection a
//! request.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls::{self, Identity};

/// Bytes; Linux takes some more.
const SMALL_BUFFER: u32 = 8192;

/// A server and the way to it.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    /// Where connections come from, if not from where the system likes.
    from: Option<IpAddr>,
    /// Bytes of each socket's buffers, if not as the system likes.
    buffers: Option<u32>,
    /// Sent with every request.
    pub authorization: Option<String>,
}

/// A whole response.
#[derive(Debug, Clone)]
pub struct ClientResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl ClientResponse {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("text"))
    }
}

impl Client {
    /// A client that presents a certificate, or none, and believes whatever server it meets at the address.
    pub fn new(address: SocketAddr, certificate: Option<Identity>) -> Self {
        match certificate {
            Some(identity) => Self::presenting(address, identity, b"http/1.1"),
            None => Self::offering(address, b"http/1.1"),
        }
    }

    /// A client that presents a certificate and offers one application protocol alone.
    pub fn presenting(address: SocketAddr, identity: Identity, protocol: &[u8]) -> Self {
        Self {
            tls: Arc::new(tls::presenting(identity, protocol)),
            ..Self::offering(address, protocol)
        }
    }

    /// A client that offers one application protocol alone.
    pub fn offering(address: SocketAddr, protocol: &[u8]) -> Self {
        Self {
            address,
            tls: Arc::new(tls::trusting_any_server(protocol)),
            from: None,
            buffers: None,
            authorization: None,
        }
    }

    /// The same client with a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            authorization: Some(format!("Bearer {token}")),
            ..self.clone()
        }
    }

    /// The same client at another address of this machine.
    pub fn at_address(&self, ip: IpAddr) -> Self {
        Self {
            from: Some(ip),
            ..self.clone()
        }
    }

    /// The same client with sockets that hold little of what nobody reads.
    pub fn with_small_buffers(&self) -> Self {
        Self {
            buffers: Some(SMALL_BUFFER),
            ..self.clone()
        }
    }

    async fn tcp(&self) -> std::io::Result<TcpStream> {
        let socket = if self.address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if let Some(bytes) = self.buffers {
            socket.set_recv_buffer_size(bytes)?;
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(ip) = self.from {
            socket.bind(SocketAddr::new(ip, 0))?;
        }
        socket.connect(self.address).await
    }

    /// A TLS connection to the server.
    pub async fn connect(&self) -> TlsStream<TcpStream> {
        self.try_connect().await.expect("a TLS connection")
    }

    /// The same, where the server may not be up yet.
    pub async fn try_connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = self.tcp().await?;
        // As browsers and Go's clients do; else what is sent in two pieces waits for the other side's delayed
        // acknowledgement.
        tcp.set_nodelay(true)?;
        let name = ServerName::IpAddress(self.address.ip().into());
        TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, tcp)
            .await
    }

    /// Sends a request and returns the response with its body still to come.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
        self.try_send(request).await.expect("an answer")
    }

    /// The same, where the server may close the connection instead.
    pub async fn try_send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, Box<dyn std::error::Error>> {
        let stream = TokioIo::new(self.try_connect().await?);
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .preserve_header_case(true)
            .max_buf_size(4 << 20)
            .handshake(stream)
            .await?;
        tokio::spawn(connection.with_upgrades());
        if !request.headers().contains_key("host") {
            let host = self.address.to_string().parse().expect("a host");
            request.headers_mut().insert("host", host);
        }
        if let Some(authorization) = &self.authorization {
            request
                .headers_mut()
                .insert("authorization", authorization.parse().expect("a token"));
        }
        Ok(sender.send_request(request).await?)
    }

    /// Sends a request and waits for the whole response.
    pub async fn ask(&self, request: Request<Full<Bytes>>) -> ClientResponse {
        let (parts, body) = self.send(request).await.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        ClientResponse {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Sends a request and waits for the whole response; `None` if it never becomes whole.
    pub async fn try_ask(&self, request: Request<Full<Bytes>>) -> Option<ClientResponse> {
        let (parts, body) = self.try_send(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?;
        let mut headers = parts.headers;
        headers.extend(body.trailers().cloned().unwrap_or_default());
        Some(ClientResponse {
            status: parts.status,
            headers,
            body: body.to_bytes(),
        })
    }

    pub async fn get(&self, path: &str) -> ClientResponse {
        self.ask(request("GET", path, &[], "")).await
    }
}

/// A request with headers and a body.
pub fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).expect("a request")
}

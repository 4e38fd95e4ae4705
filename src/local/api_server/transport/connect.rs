//! A new connection to the API server. In: its address, a proxy, TLS settings. Out: a byte stream that is ready for
//! HTTP.
//!
//! TCP goes to the first of the name's addresses that answers, directly, through an HTTP proxy's CONNECT or a SOCKS5
//! proxy. The limits are kubectl's: 30 s until there is a connection, 10 s for the TLS handshake. What goes wrong names
//! the address and the reason.
//!
//! client-go: `transport/cache.go`; RFC 8305 (several addresses), RFC 9110 section 9.3.6 (CONNECT), RFC 1928 (SOCKS5).

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::{Service, ServiceExt};

use super::proxy::{Proxy, ProxyKind, host_of, port_of};
use crate::causes::causes;
use crate::local::api_server::error::{ConnectError, UntrustedReason};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Go's period of keep-alives.
const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(15);

/// A byte stream, whatever is below it.
pub(in crate::local) trait ByteStream:
    AsyncRead + AsyncWrite + Send + Unpin
{
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A connection as HTTP is spoken on it.
pub(in crate::local) type BoxedIo = Box<dyn ByteStream>;

/// How connections are made.
#[derive(Clone)]
pub(in crate::local::api_server) struct ApiDialer {
    tcp: HttpConnector,
    proxy: Option<Proxy>,
    /// For proxies that speak TLS.
    proxy_tls: Option<Arc<ClientConfig>>,
}

/// TLS with the server: the settings, and the name that its certificate is for.
pub(in crate::local::api_server) struct TlsTarget {
    pub(in crate::local::api_server) settings: Arc<ClientConfig>,
    pub(in crate::local::api_server) name: ServerName<'static>,
}

impl ApiDialer {
    /// `keepalive` of zero is the usual period.
    pub(in crate::local::api_server) fn new(
        proxy: Option<Proxy>,
        proxy_tls: Option<Arc<ClientConfig>>,
        keepalive: Duration,
    ) -> Self {
        let period = if keepalive.is_zero() {
            DEFAULT_KEEPALIVE
        } else {
            keepalive
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // Requests leave in whole pieces, so a wait for more would only delay them.
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(period));
        tcp.set_keepalive_interval(Some(period));
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self {
            tcp,
            proxy,
            proxy_tls,
        }
    }

    /// A connection in the clear, and whether HTTP/2 was agreed on: never.
    pub(in crate::local::api_server) async fn plain(
        &self,
        server: &Uri,
    ) -> Result<BoxedIo, ConnectError> {
        // Over everything below TLS: name, TCP, and the words with a proxy.
        let limit = CONNECT_TIMEOUT;
        let reached = Box::pin(timeout(limit, self.reach(server))).await;
        reached.unwrap_or_else(|_| {
            let address = address_of(server);
            Err(ConnectError::ConnectTimeout { address, limit })
        })
    }

    /// A connection under TLS, and whether HTTP/2 was agreed on.
    pub(in crate::local::api_server) async fn secured(
        &self,
        server: &Uri,
        secured: TlsTarget,
    ) -> Result<(BoxedIo, bool), ConnectError> {
        // Its own limit first: a server that can't be reached is told from one that does not speak TLS.
        let io = self.plain(server).await?;
        let TlsTarget { settings, name } = secured;
        let limit = HANDSHAKE_TIMEOUT;
        let handshake = TlsConnector::from(settings).connect(name.clone(), io);
        let address = address_of(server);
        let tls = match timeout(limit, handshake).await {
            Ok(Ok(tls)) => tls,
            Ok(Err(cause)) => return Err(no_handshake(address, &name, cause)),
            Err(_) => return Err(ConnectError::HandshakeTimeout { address, limit }),
        };
        let speaks_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(tls), speaks_http2))
    }

    async fn reach(&self, server: &Uri) -> Result<BoxedIo, ConnectError> {
        let Some(proxy) = &self.proxy else {
            return Ok(Box::new(self.direct(server).await?));
        };
        let failed = |reason: String| ConnectError::Proxy {
            proxy: address_of(&proxy.uri),
            address: address_of(server),
            reason,
        };
        // CONNECT and SOCKS5 name the port, so it has to be there.
        let target = with_port(server);
        // A copy for each connection, as the connector is called by the proxy's own client.
        let dial = self.clone();
        let connector = tower::service_fn(move |uri: Uri| {
            let dial = dial.clone();
            async move { dial.to_proxy(uri).await }
        });
        let io = match proxy.kind {
            ProxyKind::Tunnel => {
                let mut tunnel = Tunnel::new(proxy.uri.clone(), connector);
                if let Some(login) = proxy.login.basic_auth() {
                    tunnel = tunnel.with_auth(login.clone());
                }
                let tunnel = tunnel
                    .ready()
                    .await
                    .map_err(|error| failed(causes(&error)))?;
                tunnel
                    .call(target)
                    .await
                    .map_err(|error| failed(causes(&error)))?
            }
            ProxyKind::Socks5 => {
                let mut socks = SocksV5::new(with_port(&proxy.uri), connector);
                if let Some((user, password)) = proxy.login.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                let socks = socks
                    .ready()
                    .await
                    .map_err(|error| failed(causes(&error)))?;
                socks
                    .call(target)
                    .await
                    .map_err(|error| failed(causes(&error)))?
            }
        };
        Ok(io.into_inner())
    }

    async fn to_proxy(&self, uri: Uri) -> Result<TokioIo<BoxedIo>, ConnectError> {
        let tcp = self.direct(&uri).await?;
        let Some(settings) = self
            .proxy_tls
            .as_ref()
            .filter(|_| uri.scheme() == Some(&Scheme::HTTPS))
        else {
            return Ok(TokioIo::new(Box::new(tcp)));
        };
        let address = address_of(&uri);
        let name = ServerName::try_from(host_of(&uri).to_owned()).map_err(|cause| {
            ConnectError::Handshake {
                address: address.clone(),
                cause: io::Error::new(io::ErrorKind::InvalidInput, cause),
            }
        })?;
        let tls = TlsConnector::from(Arc::clone(settings))
            .connect(name.clone(), tcp)
            .await
            .map_err(|cause| no_handshake(address, &name, cause))?;
        Ok(TokioIo::new(Box::new(tls)))
    }

    async fn direct(&self, uri: &Uri) -> Result<TcpStream, ConnectError> {
        let mut tcp = self.tcp.clone();
        // The connector tries the addresses of a name, those of the second family after a moment (RFC 8305).
        let connected = match tcp.ready().await {
            Ok(tcp) => tcp.call(with_port(uri)).await,
            Err(failed) => Err(failed),
        };
        let failed = match connected {
            Ok(tcp) => return Ok(tcp.into_inner()),
            Err(failed) => failed,
        };
        // The connector says this of names, and its cause is then what the resolver said.
        let is_name = failed.to_string() == "dns error";
        let cause = io_cause(&failed);
        let address = address_of(uri);
        Err(match cause.kind() {
            _ if is_name => ConnectError::UnknownName {
                host: host_of(uri).to_owned(),
                cause,
            },
            io::ErrorKind::ConnectionRefused => ConnectError::Refused { address },
            io::ErrorKind::TimedOut => ConnectError::ConnectTimeout {
                address,
                limit: CONNECT_TIMEOUT,
            },
            _ => ConnectError::Unreachable { address, cause },
        })
    }
}

fn with_port(uri: &Uri) -> Uri {
    if uri.port().is_some() {
        return uri.clone();
    }
    let host = uri.host().unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    let authority = format!("{host}:{}", port_of(uri));
    parts.authority = authority.parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

fn address_of(uri: &Uri) -> String {
    format!("{}:{}", uri.host().unwrap_or_default(), port_of(uri))
}

// Copied below, since the error that holds it is shared.
/// The innermost I/O error, as far as there is one; it is copied, as the connector keeps its own.
fn io_cause(error: &(dyn Error + 'static)) -> io::Error {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    let mut found = None;
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            found = Some(match io.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(io.kind(), io.to_string()),
            });
        }
        next = error.source();
    }
    found.unwrap_or_else(|| io::Error::other(error.to_string()))
}

fn no_handshake(address: String, name: &ServerName<'_>, cause: io::Error) -> ConnectError {
    let tls = cause
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        // Only the certificate's own fault can be mended by another authority or name.
        Some(rustls::Error::InvalidCertificate(why)) => ConnectError::Untrusted {
            address,
            reason: distrust(why, name),
        },
        Some(
            // The server refused after it had seen the client certificate, so that is what is told.
            refused @ rustls::Error::AlertReceived(
                AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::CertificateRequired,
            ),
        ) => ConnectError::IdentityRefused {
            address,
            cause: refused.clone(),
        },
        _ => ConnectError::Handshake { address, cause },
    }
}

fn distrust(why: &CertificateError, name: &ServerName<'_>) -> UntrustedReason {
    match why {
        CertificateError::UnknownIssuer => UntrustedReason::UnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            UntrustedReason::OtherName {
                name: name.to_str().into_owned(),
            }
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            UntrustedReason::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            UntrustedReason::NotYetValid
        }
        other => UntrustedReason::Other(other.to_string()),
    }
}

//! A connection to exactly the chosen address: TCP, then TLS where the target speaks it, each within its timeout.
//!
//! The only place that dials. It takes a `SocketAddr` that was judged; there is no name to resolve, and no proxy of the
//! environment.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::ForwardError;
use super::io::Io;
use super::stream::{BackendStream, Tls, set_socket_options};
use super::tls_records::{Position, Records};
use crate::serve::certificates::{KubeletAccess, any_backend};
use crate::serve::config::ForwardConfig;
use crate::serve::destination::{DialableAddr, Scheme};
use crate::serve::endpoint::{Endpoint, EndpointOrder, Outliers};

/// Makes connections.
#[derive(Debug)]
pub(in crate::serve::forward) struct Connector {
    pub(in crate::serve::forward) config: ForwardConfig,
    pub(in crate::serve::forward) kubelet: KubeletAccess,
    outliers: Outliers,
    any_version: Arc<ClientConfig>,
    http1_only: Arc<ClientConfig>,
}

/// What a TLS end of a tunnel may hold of what its peer does not take, in bytes. rustls holds four times as much by
/// default.
pub(in crate::serve::forward) const MAX_TUNNEL_BUFFER: usize = 16 * 1024;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve::forward) enum Purpose {
    Exchange,
    /// HTTP/1.1 only: HTTP/2 has no upgrades.
    Upgrade,
}

/// A fresh connection.
#[derive(Debug)]
pub(in crate::serve::forward) struct NewConnection {
    pub(in crate::serve::forward) io: Io,
    pub(in crate::serve::forward) endpoint: Endpoint,
    pub(in crate::serve::forward) speaks_http2: bool,
}

impl Connector {
    pub(in crate::serve::forward) fn new(
        config: ForwardConfig,
        kubelet: KubeletAccess,
        outliers: Outliers,
    ) -> Self {
        Self {
            config,
            kubelet,
            outliers,
            any_version: any_backend(&[b"h2", b"http/1.1"]),
            http1_only: any_backend(&[b"http/1.1"]),
        }
    }

    /// Connects to the first endpoint that lets itself be connected to.
    pub(in crate::serve::forward) async fn connect(
        &self,
        endpoints: &EndpointOrder<'_>,
        purpose: Purpose,
    ) -> Result<NewConnection, ForwardError> {
        let mut failed = match self.connect_to(endpoints.first(), purpose).await {
            Ok(connection) => return Ok(connection),
            Err(failed) => failed,
        };
        for endpoint in endpoints.others() {
            // Only what failed before a connection stood: after that, the backend may have seen bytes, and the next one
            // would see them again.
            let no_connection = matches!(
                failed,
                ForwardError::Refused { .. } | ForwardError::ConnectTimeout { .. }
            );
            if !no_connection {
                break;
            }
            match self.connect_to(endpoint, purpose).await {
                Ok(connection) => return Ok(connection),
                Err(also_failed) => failed = also_failed,
            }
        }
        Err(failed)
    }

    async fn connect_to(
        &self,
        endpoint: &Endpoint,
        purpose: Purpose,
    ) -> Result<NewConnection, ForwardError> {
        // Each step has its own timeout, so a slow network is told from a backend that accepts and then says nothing.
        let tcp = self.connect_tcp(endpoint.address).await?;
        let tls = match (endpoint.scheme, purpose) {
            (Scheme::Http, _) => {
                let io = Io::new(BackendStream::Plain(tcp));
                return Ok(NewConnection {
                    io,
                    endpoint: endpoint.clone(),
                    speaks_http2: false,
                });
            }
            (Scheme::Https, Purpose::Exchange) => Arc::clone(&self.any_version),
            (Scheme::Https, Purpose::Upgrade) => Arc::clone(&self.http1_only),
            // Kubelets are offered HTTP/1.1 alone, so one configuration does for both purposes.
            (Scheme::Kubelet, _) => self.kubelet.tls(),
        };
        let mut tls = self.tls_handshake(tcp, *endpoint.address, tls).await?;
        if purpose == Purpose::Upgrade {
            // A tunnel lives long, and its peer may read nothing: what rustls holds for it is bounded to one record.
            let session = tls.get_mut().1;
            session.set_buffer_limit(Some(MAX_TUNNEL_BUFFER));
        }
        let speaks_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        let io = Io::new(BackendStream::Tls(Box::new(tls)));
        Ok(NewConnection {
            io,
            endpoint: endpoint.clone(),
            speaks_http2,
        })
    }

    async fn connect_tcp(&self, address: DialableAddr) -> Result<TcpStream, ForwardError> {
        let (address, timeout) = (*address, self.config.connect_timeout);
        #[expect(clippy::disallowed_methods, reason = "the one place that dials")]
        let connecting = TcpStream::connect(address);
        let connected = match tokio::time::timeout(timeout, connecting).await {
            Ok(Ok(tcp)) => set_socket_options(&tcp).map(|()| tcp),
            Ok(Err(failed)) => Err(failed),
            Err(_) => {
                // A timeout counts as a refusal: of both, the caller sees a backend that is not there, and the next
                // choice avoids it.
                self.outliers.refused(address);
                return Err(ForwardError::ConnectTimeout { address, timeout });
            }
        };
        match connected {
            Ok(tcp) => {
                // Told even when nothing was wrong before: a single success ends an ejection.
                self.outliers.reached(address);
                Ok(tcp)
            }
            Err(failed) => {
                self.outliers.refused(address);
                Err(ForwardError::Refused {
                    address,
                    cause: Arc::new(failed),
                })
            }
        }
    }

    async fn tls_handshake(
        &self,
        tcp: TcpStream,
        address: SocketAddr,
        config: Arc<ClientConfig>,
    ) -> Result<Tls, ForwardError> {
        let timeout = self.config.tls_handshake_timeout;
        // The address and no name: endpoints are judged as addresses, and SNI must not carry an IP (RFC 6066 section
        // 3).
        let name = ServerName::IpAddress(address.ip().into());
        let shaking =
            // Below TLS the records are followed, as rustls itself does not say whether an end came in the middle of
            // one.
            TlsConnector::from(config).connect(name, Records::new(tcp, Position::default()));
        match tokio::time::timeout(timeout, shaking).await {
            Ok(Ok(tls)) => Ok(tls),
            Ok(Err(failed)) if is_no_tls(&failed) => Err(ForwardError::NotTls { address }),
            Ok(Err(failed)) => Err(ForwardError::Handshake {
                address,
                cause: Arc::new(failed),
            }),
            Err(_) => Err(ForwardError::HandshakeTimeout { address, timeout }),
        }
    }
}

fn is_no_tls(failed: &io::Error) -> bool {
    let cause = failed
        // What answers in clear to a ClientHello is a record that rustls can't read; a TLS fault would be another
        // error.
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::InvalidMessage(_)))
}

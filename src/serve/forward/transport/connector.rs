//! A connection to exactly the chosen address: TCP, then TLS where the target speaks it, each within its limit.
//!
//! The only place that dials. It takes a `SocketAddr` that was judged; there is no name to resolve, and no proxy of the
//! environment.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::ForwardError;
use super::io::Io;
use super::stream::Transport;
use super::tls_records::{Position, Records};
use crate::serve::certificates::{KubeletAccess, any_backend};
use crate::serve::config::ForwardConfig;
use crate::serve::destination::{DialableAddr, Scheme};
use crate::serve::endpoint::{Endpoint, EndpointOrder, Outliers};

/// A peer that vanished without a word is noticed within about a minute of silence.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// Bytes that nobody acknowledges for this long end the connection. The kernel takes a backend that reads nothing for one
/// that is gone, so this is also the longest that a socket whose buffers are full stays so.
pub(in crate::serve::forward) const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(60);

/// Bytes that the kernel takes for a backend beyond what it may send now. Without a bound it takes up to 4 MiB for each backend
/// that does not read; that is memory of this pod, and where it is full, the connections of all others stand still.
const MAX_UNSENT_BYTES: u32 = 128 << 10;

/// Makes connections.
#[derive(Debug)]
pub(in crate::serve::forward) struct Dialer {
    pub(in crate::serve::forward) config: ForwardConfig,
    pub(in crate::serve::forward) kubelet: KubeletAccess,
    outliers: Outliers,
    any_version: Arc<ClientConfig>,
    http1_only: Arc<ClientConfig>,
}

/// What a TLS end of a tunnel may hold of what its peer does not take, in bytes. rustls holds four times as much by default.
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
pub(in crate::serve::forward) struct Dialled {
    pub(in crate::serve::forward) io: Io,
    pub(in crate::serve::forward) endpoint: Endpoint,
    pub(in crate::serve::forward) speaks_http2: bool,
}

impl Dialer {
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

    /// Connects to the first endpoint of the choice that lets itself be connected to.
    pub(in crate::serve::forward) async fn dial(
        &self,
        choice: &EndpointOrder,
        purpose: Purpose,
    ) -> Result<Dialled, ForwardError> {
        let mut failed = match self.one(&choice.first, purpose).await {
            Ok(dialled) => return Ok(dialled),
            Err(failed) => failed,
        };
        for endpoint in &choice.others {
            let no_connection = matches!(
                failed,
                ForwardError::Refused { .. } | ForwardError::ConnectLate { .. }
            );
            if !no_connection {
                break;
            }
            match self.one(endpoint, purpose).await {
                Ok(dialled) => return Ok(dialled),
                Err(also_failed) => failed = also_failed,
            }
        }
        Err(failed)
    }

    async fn one(&self, endpoint: &Endpoint, purpose: Purpose) -> Result<Dialled, ForwardError> {
        let tcp = self.connect(endpoint.address).await?;
        let tls = match (endpoint.scheme, purpose) {
            (Scheme::Http, _) => {
                let io = Io::new(Transport::Plain(tcp));
                return Ok(Dialled {
                    io,
                    endpoint: endpoint.clone(),
                    speaks_http2: false,
                });
            }
            (Scheme::Https, Purpose::Exchange) => Arc::clone(&self.any_version),
            (Scheme::Https, Purpose::Upgrade) => Arc::clone(&self.http1_only),
            (Scheme::Kubelet, _) => self.kubelet.tls(),
        };
        let mut tls = self.handshake(tcp, *endpoint.address, tls).await?;
        if purpose == Purpose::Upgrade {
            let session = tls.get_mut().1;
            session.set_buffer_limit(Some(MAX_TUNNEL_BUFFER));
        }
        let speaks_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        let io = Io::new(Transport::Tls(Box::new(tls)));
        Ok(Dialled {
            io,
            endpoint: endpoint.clone(),
            speaks_http2,
        })
    }

    async fn connect(&self, address: DialableAddr) -> Result<TcpStream, ForwardError> {
        let (address, limit) = (*address, self.config.connect_limit);
        #[expect(clippy::disallowed_methods, reason = "the one place that dials")]
        let connecting = TcpStream::connect(address);
        let connected = match tokio::time::timeout(limit, connecting).await {
            Ok(Ok(tcp)) => prepare(&tcp).map(|()| tcp),
            Ok(Err(failed)) => Err(failed),
            Err(_) => {
                self.outliers.refused(address);
                return Err(ForwardError::ConnectLate { address, limit });
            }
        };
        match connected {
            Ok(tcp) => {
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

    async fn handshake(
        &self,
        tcp: TcpStream,
        address: SocketAddr,
        config: Arc<ClientConfig>,
    ) -> Result<TlsStream<Records<TcpStream>>, ForwardError> {
        let limit = self.config.tls_handshake_limit;
        let name = ServerName::IpAddress(address.ip().into());
        let shaking =
            TlsConnector::from(config).connect(name, Records::new(tcp, Position::default()));
        match tokio::time::timeout(limit, shaking).await {
            Ok(Ok(tls)) => Ok(tls),
            Ok(Err(failed)) if is_no_tls(&failed) => Err(ForwardError::NotTls { address }),
            Ok(Err(failed)) => Err(ForwardError::Handshake {
                address,
                cause: Arc::new(failed),
            }),
            Err(_) => Err(ForwardError::HandshakeLate { address, limit }),
        }
    }
}

fn prepare(tcp: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(tcp);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(MAX_UNSENT_BYTES)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_LIMIT))
}

fn is_no_tls(failed: &io::Error) -> bool {
    let cause = failed
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::InvalidMessage(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A backend that is gone, or that takes nothing, is known by the kernel alone.
    #[tokio::test]
    async fn a_connection_to_a_backend_has_the_kernels_limits() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let tcp = TcpStream::from_std(tcp).unwrap();
        prepare(&tcp).unwrap();
        let socket = SockRef::from(&tcp);
        assert_eq!(
            socket.tcp_user_timeout().unwrap(),
            Some(Duration::from_secs(60))
        );
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
    }
}

//! 1, a caller connects. In: a TCP stream. Out: a [`Peer`], and the requests of its connection.
//!
//! TLS 1.2 or 1.3, HTTP/2 or HTTP/1.1 by ALPN; a client certificate is asked for and never required. What a caller may
//! take of this server before anybody knows them is limited here: connections, handshake time, header bytes and lines,
//! streams, idle time. k8s.io/apiserver: `pkg/server/secure_serving.go`.
//!
//! Refuses by closing: a handshake that is late or broken. A request whose headers exceed the limits gets 431.

mod peer;
mod protocol;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

pub use peer::Peer;

use crate::config::{ConnectionLimits, ListenConfig};
use crate::lifecycle::Tasks;
use crate::status::{Request, Response};

/// How many connections the kernel holds for a server that is busy accepting.
const BACKLOG: i32 = 1024;

/// After a failed accept (no file descriptor left, say) nothing is accepted for this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound port.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    limits: ConnectionLimits,
    places: Arc<Semaphore>,
    tls: Arc<ServerConfig>,
    tasks: Tasks,
}

impl Listener {
    /// Binds the port. An address of `::` listens on IPv4 as well.
    ///
    /// # Errors
    /// The port is taken or not this process's to bind.
    pub fn bind(config: &ListenConfig, tls: Arc<ServerConfig>, tasks: Tasks) -> io::Result<Self> {
        let socket = listening_socket(config.address).or_else(|failed| {
            // A machine without IPv6 has no `::`; there `0.0.0.0` means the same.
            if config.address.is_ipv6() && config.address.ip().is_unspecified() {
                listening_socket(SocketAddr::from(([0, 0, 0, 0], config.address.port())))
            } else {
                Err(failed)
            }
        })?;
        let tcp = TcpListener::from_std(socket.into())?;
        Ok(Self {
            address: tcp.local_addr()?,
            tcp,
            limits: config.limits.clone(),
            places: Arc::new(Semaphore::new(config.limits.max_connections)),
            tls,
            tasks,
        })
    }

    /// The address that was bound, with the port that the kernel chose if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections until the server drains; `answer` is called for every request.
    pub async fn serve<A, F>(self, answer: A)
    where
        A: Fn(Peer, Box<Request>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let tasks = self.tasks.clone();
        tokio::select! {
            () = self.accept(answer) => {}
            () = tasks.draining() => {}
        }
    }

    async fn accept<A, F>(&self, answer: A)
    where
        A: Fn(Peer, Box<Request>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await;
            let place = place.expect("the semaphore is never closed");
            match self.tcp.accept().await {
                Ok((stream, address)) => self.start(stream, address, place, answer.clone()),
                Err(failed) => {
                    tracing::warn!(error = %failed, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn start<A, F>(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        place: OwnedSemaphorePermit,
        answer: A,
    ) where
        A: Fn(Peer, Box<Request>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let (tls, limits, tasks) = (
            TlsAcceptor::from(Arc::clone(&self.tls)),
            self.limits.clone(),
            self.tasks.clone(),
        );
        self.tasks.spawn(async move {
            let _place = place;
            if let Err(failed) = connection(stream, address, &tls, limits, tasks, answer).await {
                tracing::debug!(peer.address = %address, error = %failed, "connection ended");
            }
        });
    }
}

async fn connection<A, F>(
    stream: TcpStream,
    address: SocketAddr,
    tls: &TlsAcceptor,
    limits: ConnectionLimits,
    tasks: Tasks,
    answer: A,
) -> Result<(), protocol::Ended>
where
    A: Fn(Peer, Box<Request>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    stream.set_nodelay(true)?;
    let stream = tokio::time::timeout(limits.handshake_limit, tls.accept(stream))
        .await
        .map_err(|_| protocol::Ended::HandshakeLate)?
        .map_err(protocol::Ended::Handshake)?;
    let session = stream.get_ref().1;
    let certificates = session.peer_certificates().unwrap_or_default();
    let peer = Peer::new(
        address,
        certificates
            .iter()
            .map(|der| der.clone().into_owned())
            .collect(),
    );
    match session.alpn_protocol() {
        Some(b"h2") => protocol::serve_http2(stream, peer, &limits, &tasks, answer).await,
        _ => protocol::serve_http1(stream, peer, &limits, &tasks, answer).await,
    }
}

fn listening_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

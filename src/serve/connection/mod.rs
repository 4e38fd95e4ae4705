//! 1, a caller connects. In: a TCP stream. Out: a [`Peer`], and the requests of its connection.
//!
//! TLS 1.2 or 1.3, HTTP/2 or HTTP/1.1 by ALPN; a client certificate is asked for and never required. Limits that apply
//! before authentication: connections, handshake time, header bytes and lines, streams, idle time. Right after the
//! handshake the certificate says whether the front proxy is at the other end, which is the only one whose connection
//! many users share ([`PeerClass`]). k8s.io/apiserver: `pkg/server/secure_serving.go`.
//!
//! Refuses by closing: a handshake that is late, broken or in another's way, a connection for which there is no slot,
//! one on which nothing is asked. A request whose headers exceed the limits gets 431.

mod activity;
mod cork;
mod error;
mod failures;
mod graceful;
mod handler;
mod handshakes;
mod head_budget;
mod head_limits;
mod http2;
mod peer;
mod protocol;
mod slots;
mod upgraded;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

pub use handler::Handler;
pub use peer::{Peer, PeerClass};
pub use upgraded::into_stream;
#[cfg(test)]
pub(crate) use upgraded::tests::upgrade as upgrade_for_tests;

use crate::causes::causes;
use crate::lifecycle::Tasks;
use crate::serve::config::{ConnectionLimits, ListenConfig};
use cork::Cork;
use error::ConnectionError;
use failures::HandshakeFailures;
use head_budget::HeadBudget;
use slots::{ConnectionSlots, HandshakeSlot};

/// How many connections the kernel holds for a server that is busy accepting.
const BACKLOG: i32 = 1024;

/// Bytes that the kernel takes for a caller beyond what it may send now. Without a bound it takes up to 4 MiB for each
/// caller that does not read, of this pod's memory. With 256 KiB a large download cost 7 % more CPU.
const MAX_UNSENT_BYTES: u32 = 1 << 20;

/// After a failed accept (no file descriptor left, say) nothing is accepted for this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Says whose connection it is, of which the handshake is over.
pub type Classify = Arc<dyn Fn(&Peer) -> PeerClass + Send + Sync>;

/// A bound port.
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    of_connections: Arc<Shared>,
}

/// What all connections share.
struct Shared {
    limits: ConnectionLimits,
    slots: ConnectionSlots,
    heads: HeadBudget,
    failures: HandshakeFailures,
    tls: TlsAcceptor,
    classify: Classify,
    tasks: Tasks,
}

impl fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Listener")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Listener {
    /// Binds the port. An address of `::` listens on IPv4 as well.
    ///
    /// # Errors
    /// The port is taken or not this process's to bind.
    pub fn bind(
        config: &ListenConfig,
        tls: Arc<ServerConfig>,
        classify: Classify,
        tasks: Tasks,
    ) -> io::Result<Self> {
        let socket = listening_socket(config.address).or_else(|failed| {
            // Only `::` itself: for any other address of IPv6 there is no other that means the same.
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
            of_connections: Arc::new(Shared {
                slots: ConnectionSlots::new(&config.limits),
                limits: config.limits.clone(),
                heads: HeadBudget::default(),
                failures: HandshakeFailures::default(),
                tls: TlsAcceptor::from(tls),
                classify,
                tasks,
            }),
        })
    }

    /// The address that was bound, with the port that the kernel chose if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections until the server drains; `handler` is called for every request.
    pub async fn serve(self, handler: impl Handler) {
        let tasks = self.of_connections.tasks.clone();
        // Dropping the accept closes nothing that was accepted: each connection is a task of its own by then.
        tokio::select! {
            () = self.accept(handler) => {}
            () = tasks.draining() => {}
        }
    }

    async fn accept(&self, handler: impl Handler) {
        loop {
            match self.tcp.accept().await {
                // Nothing is awaited here, so one slow caller never keeps the next from being accepted.
                Ok((stream, address)) => self.start(stream, address, handler.clone()),
                Err(failed) => {
                    tracing::warn!(error = %failed, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Lets a connection begin. One for which there is no slot is closed at once: if it waited, it would keep those
    /// behind it waiting, kube-apiserver's among them.
    fn start(&self, stream: TcpStream, address: SocketAddr, handler: impl Handler) {
        let shared = Arc::clone(&self.of_connections);
        // Before a task or TLS exists: a flood without slots costs an accept and a close.
        let handshaking = match shared.slots.for_handshake(address.ip()) {
            Ok(slot) => slot,
            Err(no_slot) => return shared.failures.no_slot(address, no_slot),
        };
        self.of_connections.tasks.spawn(async move {
            match connection(stream, address, handshaking, &shared, handler).await {
                Ok(()) => {}
                Err(ConnectionError::NoSlot(no_slot)) => {
                    shared.failures.no_slot(address, no_slot);
                }
                Err(ConnectionError::Handshake(failed)) => shared.failures.failed(address, &failed),
                Err(ended) => {
                    let error = causes(&ended);
                    tracing::debug!(peer.address = %address, error, "connection ended");
                }
            }
        });
    }
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    handshaking: HandshakeSlot,
    shared: &Shared,
    handler: impl Handler,
) -> Result<(), ConnectionError> {
    let (limits, tasks) = (&shared.limits, &shared.tasks);
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_notsent_lowat(MAX_UNSENT_BYTES)?;
    if !limits.exchange_idle_timeout.is_zero() {
        // A caller that reads nothing at all for so long has a window of 0, which the kernel counts as unacknowledged.
        // It is set before the handshake, so a caller that vanishes in it frees the socket too.
        SockRef::from(&stream).set_tcp_user_timeout(Some(limits.exchange_idle_timeout))?;
    }
    let handshake = tokio::time::timeout(
        limits.handshake_timeout,
        shared.tls.accept(Cork::new(stream)),
    );
    // Cancel-safe: whichever side is dropped, the connection ends or the handshake is over.
    let stream = tokio::select! {
        biased;
        shaken = handshake => shaken
            .map_err(|_| ConnectionError::HandshakeTimeout)?
            .map_err(ConnectionError::Handshake)?,
        no_slot = handshaking.displaced() => return Err(no_slot.into()),
    };
    let session = stream.get_ref().1;
    // Asked for and not required, so having none is normal. Whether anybody trusts them is asked for every request.
    let certificates = session.peer_certificates().unwrap_or_default();
    let peer = Peer::new(
        address,
        certificates
            .iter()
            .map(|der| der.clone().into_owned())
            .collect(),
    );
    peer.classify((shared.classify)(&peer));
    // The slot for the handshake is exchanged for one that lasts, in which strangers and addresses have their bounds.
    let _slot = shared
        .slots
        .for_connection(handshaking, address.ip(), peer.class())?;
    match session.alpn_protocol() {
        Some(b"h2") => protocol::serve_http2(stream, peer, limits, tasks, handler).await,
        _ => {
            // Only HTTP/1 holds unfinished heads in a buffer that grows; h2 bounds its own.
            let heads = shared.heads.of_connection();
            protocol::serve_http1(stream, peer, limits, tasks, heads, handler).await
        }
    }
}

fn listening_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // One socket for both families; the default of the system may be another.
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

//! Where the companion listens: a TCP port or a Unix socket that only its user can open.
//!
//! Browsers ask `[::1]` first for a name below `localhost`, so a port of one loopback is taken on the other as well:
//! whoever listened there would be this origin in the user's browser.
//!
//! kubectl: `Listen` and `ListenUnix` of `pkg/proxy/proxy_server.go`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use super::random_token::random_token;
use crate::local::config::LocalListen;

/// How many free ports are tried until one is free on both loopbacks.
const MAX_TRIES: usize = 16;

/// A place that can't be listened at.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("port {} of {} is in use, perhaps by another kubectl proxy or throughway local; --port=0 takes a free one", .0.port(), .0.ip())]
    InUse(SocketAddr),
    #[error("port {} of {} is in use, by another program or another --forward; --forward 0:TARGET takes a free one", .0.port(), .0.ip())]
    ForwardInUse(SocketAddr),
    #[error("can't listen on {0}: {1}")]
    Tcp(SocketAddr, #[source] io::Error),
    #[error("can't listen on the Unix socket {}: {}", .0.display(), .1)]
    Unix(PathBuf, #[source] io::Error),
}

impl ListenError {
    /// The same of a port of `--forward`.
    pub(in crate::local) fn of_forward(self) -> Self {
        match self {
            Self::InUse(address) => Self::ForwardInUse(address),
            other @ (Self::ForwardInUse(_) | Self::Tcp(..) | Self::Unix(..)) => other,
        }
    }
}

/// A listening socket.
#[derive(Debug)]
pub(in crate::local) enum CompanionListener {
    Tcp(TcpPort),
    Unix(UnixSocket),
}

/// A Unix socket, which goes away with the program unless somebody else has taken its place.
#[derive(Debug)]
pub(in crate::local) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let found = std::fs::symlink_metadata(&self.path);
        // By device and inode: another companion may have taken the place meanwhile, and its socket must stay.
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A port of an address, and of the other loopback.
#[derive(Debug)]
pub(in crate::local) struct TcpPort {
    first: TcpListener,
    /// `None` where the address is none of this machine's loopbacks, or where there is no other.
    second: Option<TcpListener>,
    address: SocketAddr,
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum PeerLocation {
    /// Loopback, or a Unix socket.
    ThisMachine,
    OtherMachine,
}

/// A connection that was accepted.
pub(in crate::local) struct AcceptedConnection {
    pub(in crate::local) stream: InboundStream,
    pub(in crate::local) peer: PeerLocation,
    /// The address that it comes from; a Unix socket has none.
    pub(in crate::local) address: Option<HeaderValue>,
}

impl PeerLocation {
    fn of(address: IpAddr) -> Self {
        if address.to_canonical().is_loopback() {
            Self::ThisMachine
        } else {
            Self::OtherMachine
        }
    }
}

/// A connection of either kind.
pub(in crate::local) type InboundStream = Box<dyn ReadWriteStream>;

pub(in crate::local) trait ReadWriteStream:
    AsyncRead + AsyncWrite + Unpin + Send
{
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> ReadWriteStream for S {}

/// The same address with another port; a Unix socket's companion is on loopback.
pub(in crate::local) fn beside(listen: &LocalListen, port: u16) -> LocalListen {
    let address = match listen {
        LocalListen::Tcp { address, .. } => *address,
        LocalListen::Unix(_) => Ipv4Addr::LOCALHOST.into(),
    };
    LocalListen::Tcp { address, port }
}

impl CompanionListener {
    pub(in crate::local) async fn bind(listen: &LocalListen) -> Result<Self, ListenError> {
        match listen {
            LocalListen::Tcp { address, port } => {
                let port = TcpPort::bind((*address, *port).into()).await?;
                Ok(Self::Tcp(port))
            }
            LocalListen::Unix(path) => {
                unix(path).map_err(|failed| ListenError::Unix(path.clone(), failed))
            }
        }
    }

    /// The port that browsers have in their address; 0 of a Unix socket.
    pub(in crate::local) fn port(&self) -> u16 {
        match self {
            Self::Tcp(port) => port.address.port(),
            Self::Unix(_) => 0,
        }
    }

    /// Host and port of the API as browsers have them: `localhost` where that leads here. A Unix socket has no port,
    /// and who asks over it (`curl --unix-socket`) names none.
    pub(in crate::local) fn home(&self) -> String {
        match self {
            Self::Tcp(TcpPort { address, .. })
                if other_loopback(address.ip()).is_none() && !address.ip().is_unspecified() =>
            {
                address.to_string()
            }
            Self::Tcp(_) => format!("localhost:{}", self.port()),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }

    /// The next connection.
    pub(in crate::local) async fn accept(&self) -> io::Result<AcceptedConnection> {
        match self {
            Self::Tcp(port) => {
                let (stream, address) = port.accept().await?;
                // A response in small pieces must not wait for the acknowledgement of the one before.
                stream.set_nodelay(true)?;
                let text = HeaderValue::try_from(address.ip().to_string());
                Ok(AcceptedConnection {
                    stream: Box::new(stream),
                    peer: PeerLocation::of(address.ip()),
                    address: text.ok(),
                })
            }
            Self::Unix(socket) => Ok(AcceptedConnection {
                stream: Box::new(socket.listener.accept().await?.0),
                peer: PeerLocation::ThisMachine,
                address: None,
            }),
        }
    }
}

impl fmt::Display for CompanionListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => port.address.fmt(f),
            Self::Unix(socket) => socket.path.display().fmt(f),
        }
    }
}

impl TcpPort {
    async fn bind(asked: SocketAddr) -> Result<Self, ListenError> {
        let mut tries = 0;
        loop {
            let first = tcp(asked).await?;
            let address = first.local_addr();
            let address = address.map_err(|failed| ListenError::Tcp(asked, failed))?;
            let second = match other_loopback(address.ip()) {
                Some(other) => tcp((other, address.port()).into()).await.map(Some),
                None => Ok(None),
            };
            tries += 1;
            let second = match second {
                Ok(second) => second,
                // Somebody has the free port of the one on the other, so another one is tried.
                Err(ListenError::InUse(_)) if asked.port() == 0 && tries < MAX_TRIES => continue,
                Err(taken @ ListenError::InUse(_)) => return Err(taken),
                // A machine may have no IPv6, and then nobody listens there either.
                Err(none) => {
                    tracing::debug!(error = %none, "there is no other loopback");
                    None
                }
            };
            return Ok(Self {
                first,
                second,
                address,
            });
        }
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let Some(second) = &self.second else {
            return self.first.accept().await;
        };
        // Both are cancel-safe: a connection that is not taken here waits in the kernel.
        tokio::select! {
            accepted = self.first.accept() => accepted,
            accepted = second.accept() => accepted,
        }
    }
}

/// The loopback that a browser may ask as well for a name that leads to an address.
fn other_loopback(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(Ipv4Addr::LOCALHOST | Ipv4Addr::UNSPECIFIED) => Some(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Some(Ipv4Addr::LOCALHOST.into()),
        _ => None,
    }
}

async fn tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|failed| match failed.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(address),
            _ => ListenError::Tcp(address, failed),
        })
}

/// Takes the place of a socket, used or left behind, but of no other file. The socket is made where nobody else can
/// reach it and moved when its permissions are set, so that it is open to its user alone from the first moment.
fn unix(path: &Path) -> io::Result<CompanionListener> {
    match std::fs::symlink_metadata(path) {
        // A file that is no socket is somebody's, and is never removed.
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        _ => {}
    }
    let folder = private_folder_beside(path)?;
    let bound = bind_in(&folder, path);
    if bound.is_err() {
        // Left behind it would keep the folder from being removed.
        let _ = std::fs::remove_file(folder.join("socket"));
    }
    // Why there is no socket is worth more than why there is still a folder.
    let _ = std::fs::remove_dir(&folder);
    let (listener, found) = bound?;
    Ok(CompanionListener::Unix(UnixSocket {
        listener,
        path: path.to_owned(),
        file: (found.dev(), found.ino()),
    }))
}

/// Nobody else can have made the folder, or make it first, or enter it.
fn private_folder_beside(path: &Path) -> io::Result<PathBuf> {
    let number = random_token().map_err(io::Error::other)?;
    let folder = path.with_extension(format!("{}.new", &number[..16]));
    std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

/// Makes the socket in the folder, and moves it to its path when only its user can open it.
fn bind_in(folder: &Path, path: &Path) -> io::Result<(UnixListener, std::fs::Metadata)> {
    let inside = folder.join("socket");
    let listener = UnixListener::bind(&inside)?;
    // Before it is moved: at its place it must never be open to others, not for a moment.
    std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o700))?;
    let found = std::fs::symlink_metadata(&inside)?;
    // Replaces what stands there in one step, so no other program can come between.
    std::fs::rename(&inside, path)?;
    Ok((listener, found))
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's connections are not for tests"
)]
mod tests;

//! Where the companion listens: a TCP port or a Unix socket that only its user can open.
//!
//! kubectl: `Listen` and `ListenUnix` of `pkg/proxy/proxy_server.go`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

use crate::config::LocalListen;

/// A place that can't be listened at.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("port {} of {} is in use, perhaps by another kubectl proxy or throughway local; --port=0 takes a free one", .0.port(), .0.ip())]
    InUse(SocketAddr),
    #[error("can't listen on {0}: {1}")]
    Tcp(SocketAddr, #[source] io::Error),
    #[error("can't listen on the Unix socket {}: {}", .0.display(), .1)]
    Unix(PathBuf, #[source] io::Error),
}

/// A listening socket.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

/// A connection of either kind.
pub(super) type Stream = Box<dyn ReadWrite>;

pub(super) trait ReadWrite: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> ReadWrite for S {}

/// The same address with another port; a Unix socket's companion is on loopback.
pub(super) fn beside(listen: &LocalListen, port: u16) -> LocalListen {
    let address = match listen {
        LocalListen::Tcp { address, .. } => *address,
        LocalListen::Unix(_) => std::net::Ipv4Addr::LOCALHOST.into(),
    };
    LocalListen::Tcp { address, port }
}

impl Listener {
    pub(super) async fn bind(listen: &LocalListen) -> Result<Self, ListenError> {
        match listen {
            LocalListen::Tcp { address, port } => tcp((*address, *port).into()).await,
            LocalListen::Unix(path) => {
                unix(path).map_err(|failed| ListenError::Unix(path.clone(), failed))
            }
        }
    }

    /// The port that browsers have in their address; 0 of a Unix socket.
    pub(super) fn port(&self) -> u16 {
        match self {
            Self::Tcp(_, address) => address.port(),
            Self::Unix(..) => 0,
        }
    }

    /// The next connection, and the address that it comes from.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<HeaderValue>)> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let address = HeaderValue::try_from(address.ip().to_string());
                Ok((Box::new(stream), address.ok()))
            }
            Self::Unix(listener, _) => Ok((Box::new(listener.accept().await?.0), None)),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(_, address) => address.fmt(f),
            Self::Unix(_, path) => path.display().fmt(f),
        }
    }
}

async fn tcp(address: SocketAddr) -> Result<Listener, ListenError> {
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(failed) if failed.kind() == io::ErrorKind::AddrInUse => {
            return Err(ListenError::InUse(address));
        }
        Err(failed) => return Err(ListenError::Tcp(address, failed)),
    };
    let bound = listener.local_addr();
    let bound = bound.map_err(|failed| ListenError::Tcp(address, failed))?;
    Ok(Listener::Tcp(listener, bound))
}

/// Takes the place of a socket, used or left behind, but of no other file. The socket is made where nobody else can reach it
/// and moved when its permissions are set, so that it is open to its user alone from the first moment.
fn unix(path: &Path) -> io::Result<Listener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        _ => {}
    }
    let folder = path.with_extension(format!("{}.new", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let bound = bind_in(&folder, path);
    std::fs::remove_dir(&folder)?;
    Ok(Listener::Unix(bound?, path.to_owned()))
}

fn bind_in(folder: &Path, path: &Path) -> io::Result<UnixListener> {
    let inside = folder.join("socket");
    let listener = UnixListener::bind(&inside)?;
    std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o700))?;
    std::fs::rename(&inside, path)?;
    Ok(listener)
}

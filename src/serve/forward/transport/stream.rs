//! The bytes of a connection to a backend: TCP, or TLS over it, and the kernel's limits for them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::tls_records::Records;

/// A peer that vanished without a word is noticed within about a minute of silence.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// Bytes that nobody acknowledges for this long end the connection. The kernel takes a backend that reads nothing for
/// one that is gone, so this is also the longest that a socket whose buffers are full stays so.
pub(in crate::serve::forward) const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes that the kernel takes for a backend beyond what it may send now. Without a bound it takes up to 4 MiB for each
/// backend that does not read; that is memory of this pod, and where it is full, the connections of all others stand
/// still.
const MAX_UNSENT_BYTES: u32 = 128 << 10;

pub(in crate::serve::forward) type Tls = TlsStream<Records<TcpStream>>;

#[derive(Debug)]
pub(in crate::serve::forward) enum BackendStream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

impl BackendStream {
    /// The kernel throws away what it has not sent as this is dropped, and tells the backend so with a reset.
    pub(in crate::serve::forward) fn reset_on_drop(&self) -> io::Result<()> {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0.get_ref(),
        };
        SockRef::from(tcp).set_linger(Some(Duration::ZERO))
    }
}

impl AsyncRead for BackendStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for BackendStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(context, slices),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

/// Sets what the kernel does for a connection to a backend.
pub(in crate::serve::forward) fn set_socket_options(tcp: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(tcp);
    // Requests are written in whole pieces, so a wait for more would only delay the last of them.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(MAX_UNSENT_BYTES)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    // For backends that accept and then read nothing; keepalive does not run while bytes are unacknowledged.
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIMEOUT))
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
        set_socket_options(&tcp).unwrap();
        let socket = SockRef::from(&tcp);
        assert_eq!(
            socket.tcp_user_timeout().unwrap(),
            Some(Duration::from_secs(60))
        );
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
    }
}

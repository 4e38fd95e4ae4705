//! One end of a tunnel: a connection after its upgrade, and how long it may leave untaken what is there for it.
//!
//! It is freed of hyper's layers where its real type is known, with what had been read already in front.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::transport::connector::MAX_TUNNEL_BUFFER;
use super::super::transport::io::Io;
use crate::lifecycle::ProgressTimeout;
use crate::serve::connection;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Which end it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve::forward) enum Side {
    Caller,
    Backend,
}

/// A side left untaken what was there for it.
#[derive(Debug, thiserror::Error)]
#[error("the {} took nothing of what was there for it", match .0 { Side::Caller => "caller", Side::Backend => "backend" })]
pub(in crate::serve::forward) struct NotTaken(pub(super) Side);

impl NotTaken {
    pub(in crate::serve::forward) fn cause_of(failed: &io::Error) -> Option<&Self> {
        let cause: &(dyn Error + 'static) = failed.get_ref()?;
        cause.downcast_ref()
    }
}

pub(in crate::serve::forward) struct TunnelEnd {
    side: Side,
    stream: Box<dyn Stream>,
    read_already: Bytes,
    progress: ProgressTimeout,
}

impl TunnelEnd {
    pub(in crate::serve::forward) fn caller(upgraded: Upgraded, write_timeout: Duration) -> Self {
        let (stream, read_already): (Box<dyn Stream>, _) = match connection::into_stream(upgraded) {
            Ok(mut upgraded) => {
                // The halves of TLS keep up to 64 KiB of each direction by default; a tunnel that nobody reads would
                // hold all of it.
                let session = upgraded.stream.get_mut().1;
                session.set_buffer_limit(Some(MAX_TUNNEL_BUFFER));
                (Box::new(upgraded.stream), upgraded.read_already)
            }
            // What hyper wraps can't always be taken apart, and then it is used as it is.
            Err(upgraded) => (Box::new(TokioIo::new(upgraded)), Bytes::new()),
        };
        Self::new(Side::Caller, stream, &read_already, write_timeout)
    }

    pub(in crate::serve::forward) fn backend(upgraded: Upgraded, write_timeout: Duration) -> Self {
        let (stream, read_already): (Box<dyn Stream>, _) = match upgraded.downcast::<TokioIo<Io>>()
        {
            // Bytes that the backend sent right behind its 101 were read together with it, and are the first of the
            // tunnel.
            Ok(parts) => (Box::new(parts.io.into_inner()), parts.read_buf),
            Err(upgraded) => (Box::new(TokioIo::new(upgraded)), Bytes::new()),
        };
        Self::new(Side::Backend, stream, &read_already, write_timeout)
    }

    fn new(
        side: Side,
        stream: Box<dyn Stream>,
        read_already: &[u8],
        write_timeout: Duration,
    ) -> Self {
        Self {
            side,
            stream,
            // A copy, as the original may be a small part of a large buffer that it would keep alive.
            read_already: Bytes::copy_from_slice(read_already),
            progress: ProgressTimeout::new(write_timeout),
        }
    }

    pub(in crate::serve::forward) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // What was read with the head comes before anything that is read now.
        if self.read_already.is_empty() {
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
            return Poll::Ready(read.map_err(|failed| self.failure(failed)));
        }
        let taken = self
            .read_already
            .split_to(self.read_already.len().min(buffer.remaining()));
        buffer.put_slice(&taken);
        Poll::Ready(Ok(()))
    }

    /// Fails when nothing was taken for the whole timeout.
    pub(in crate::serve::forward) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // A success is also what ends the wait that began with an earlier pending.
        if let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(context, bytes) {
            self.progress.moved();
            return Poll::Ready(written.map_err(|failed| self.failure(failed)));
        }
        // Only asked while the stream is blocked, so the timer costs nothing on the way of bytes that flow.
        ready!(self.progress.poll_blocked(context));
        Poll::Ready(Err(self.not_taken()))
    }

    /// The same for what a layer below still has.
    pub(in crate::serve::forward) fn poll_flush(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(context) {
            self.progress.moved();
            return Poll::Ready(flushed.map_err(|failed| self.failure(failed)));
        }
        ready!(self.progress.poll_blocked(context));
        Poll::Ready(Err(self.not_taken()))
    }

    pub(in crate::serve::forward) fn poll_shutdown(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(shut) = Pin::new(&mut self.stream).poll_shutdown(context) {
            return Poll::Ready(shut);
        }
        // A peer that reads nothing also takes no goodbye, and that must not hold the tunnel.
        ready!(self.progress.poll_blocked(context));
        Poll::Ready(Err(self.not_taken()))
    }

    /// The kernel ends a connection of which nothing is taken as well (`TCP_USER_TIMEOUT`).
    fn failure(&self, failed: io::Error) -> io::Error {
        match failed.kind() {
            io::ErrorKind::TimedOut => self.not_taken(),
            _ => failed,
        }
    }

    fn not_taken(&self) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, NotTaken(self.side))
    }
}

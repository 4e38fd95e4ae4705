//! Lets the large writes of one turn leave together. In: what TLS and HTTP/2 write. Out: fewer and larger writes.
//!
//! h2 writes and flushes each DATA frame by itself, which is 16 KiB as a rule, and each write costs the kernel as much
//! as copying its bytes does. So the two sides of TLS work together here: below it, [`Cork`] takes nothing that is
//! smaller than [`BATCH_BYTES`], and TLS keeps it in the buffer that it has for a slow caller. Above it, [`Corked`]
//! calls that flushed. At the end of its turn the connection asks with [`Turn::uncork`] whether something was held, and
//! flushes again.
//!
//! Small writes are not held, as h2 puts small frames together itself. Whether the caller is slow or something is held,
//! TLS has never more than [`TLS_BUFFER_BYTES`]. `TCP_CORK` of Linux does the same after the system call, which is what
//! costs.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// Bytes that are written at once, if there are as many in one turn: two frames. Four save half of the writes and still
/// cost more CPU, and eight far more, as what was encrypted first has left the processor's cache by then.
const BATCH_BYTES: usize = 32 << 10;

/// Records that are written at once, whatever is in them: TLS gives no more to one write.
const BATCH_RECORDS: usize = 64;

/// Bytes of a write that is not worth holding, if nothing is held yet.
const SMALL_BYTES: usize = 4 << 10;

/// Bytes that TLS may hold: a batch, whose last frame of 16 KiB was taken as a whole.
pub(super) const TLS_BUFFER_BYTES: usize = 48 << 10;

/// What TLS writes to. It holds nothing of its own: it says that it can't take anything now.
#[derive(Debug)]
pub struct Cork<S> {
    stream: S,
    state: CorkState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CorkState {
    /// Everything goes through.
    Open,
    /// What is small waits.
    Corked,
    /// Something waits in TLS.
    Holding,
}

impl<S> Cork<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            state: CorkState::Open,
        }
    }

    fn cork(&mut self) {
        if self.state == CorkState::Open {
            self.state = CorkState::Corked;
        }
    }

    fn uncork(&mut self) {
        self.state = CorkState::Open;
    }

    /// Whether a write of so many bytes waits. Nobody is woken for it: the end of the turn flushes.
    fn holds(&mut self, bytes: usize) -> bool {
        let least = match self.state {
            CorkState::Open => return false,
            CorkState::Corked => SMALL_BYTES,
            CorkState::Holding => 0,
        };
        // A batch is never held, however much waits: it is what the holding is for.
        let holds = (least..BATCH_BYTES).contains(&bytes);
        self.state = if holds {
            CorkState::Holding
        } else {
            CorkState::Corked
        };
        holds
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cork<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cork<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.holds(bytes.len()) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // TLS gives at most so many records to one write, so a write of that many is full even if it has few bytes.
        let is_batch = slices.len() >= BATCH_RECORDS;
        if !is_batch && self.holds(slices.iter().map(|slice| slice.len()).sum()) {
            // No waker is kept: `Corked::write` notes the holding, and the connection flushes at the end of its turn.
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What a connection says of its turns to its stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn(Arc<AtomicU8>);

/// The states of a turn.
const CORKED: u8 = 0;
const HOLDING: u8 = 1;
const UNCORKED: u8 = 2;

impl Turn {
    /// From here on large writes are held. One task reads and writes the state, so no order is asked for.
    pub(super) fn cork(&self) {
        self.0.store(CORKED, Ordering::Relaxed);
    }

    /// Whether something was held in this turn; the next flush takes it along.
    pub(super) fn uncork(&self) -> bool {
        let held = self.0.load(Ordering::Relaxed) == HOLDING;
        // Only what was held needs another round; a turn without large writes costs nothing.
        if held {
            self.0.store(UNCORKED, Ordering::Relaxed);
        }
        held
    }

    fn is_corked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != UNCORKED
    }

    fn hold(&self) {
        self.0.store(HOLDING, Ordering::Relaxed);
    }

    /// Nothing is held any more.
    fn release(&self) {
        if self.0.load(Ordering::Relaxed) == HOLDING {
            self.cork();
        }
    }
}

/// A TLS stream that is flushed at the end of a turn.
#[derive(Debug)]
pub(super) struct Corked<S> {
    tls: TlsStream<Cork<S>>,
    turn: Turn,
}

impl<S: Unpin> Corked<S> {
    pub(super) fn new(mut tls: TlsStream<Cork<S>>, turn: Turn) -> Self {
        // rustls refuses plaintext beyond this, which is what makes h2 wait for a slow caller.
        tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
        Self { tls, turn }
    }

    /// Writes, and takes note of whether it was held: then the end of the turn has to flush.
    fn write<T>(&mut self, write: impl FnOnce(Pin<&mut TlsStream<Cork<S>>>) -> T) -> T {
        // Set before each write, as the same cork serves the turn and the flush at its end.
        let cork = self.tls.get_mut().0;
        if self.turn.is_corked() {
            cork.cork();
        } else {
            cork.uncork();
        }
        let written = write(Pin::new(&mut self.tls));
        // Read after the write, since only the cork below knows whether it took the bytes.
        if self.tls.get_ref().0.state == CorkState::Holding {
            self.turn.hold();
        }
        written
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Corked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(|tls| tls.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(|tls| tls.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Calling it flushed is safe: the end of the turn flushes again, and nothing waits longer than one turn.
        if self.turn.is_corked() && self.tls.get_ref().0.state == CorkState::Holding {
            return Poll::Ready(Ok(()));
        }
        self.turn.release();
        self.tls.get_mut().0.uncork();
        Pin::new(&mut self.tls).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // There is no further turn that would flush, so the last bytes go as they are.
        self.tls.get_mut().0.uncork();
        Pin::new(&mut self.tls).poll_shutdown(context)
    }
}

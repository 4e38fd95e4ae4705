//! One way through a tunnel: bytes from one end to the other, with backpressure and half-close.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::end::TunnelEnd;
use super::websocket_frames::Frames;

/// How much is read at once. It lies on the stack and is copied only if the other end does not take it all.
const READ: usize = 16 * 1024;

/// One way through the tunnel.
#[derive(Debug, Default)]
pub(super) struct Direction {
    /// What was read and not taken yet.
    pub(super) pending: Vec<u8>,
    taken: usize,
    pub(super) state: DirectionState,
    /// Follows a WebSocket's frames, where somebody has to know their borders.
    frames: Option<Frames>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum DirectionState {
    #[default]
    Open,
    /// The reader's end has come, the writer is to be told.
    Ending,
    Ended,
}

impl Direction {
    /// One that carries WebSocket frames and knows where they end.
    pub(super) fn of_frames() -> Self {
        Self {
            frames: Some(Frames::default()),
            ..Self::default()
        }
    }

    /// Moves bytes until one side is not ready or the direction has ended; says how many moved.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut TunnelEnd,
        to: &mut TunnelEnd,
        moved: &mut usize,
    ) -> Poll<io::Result<()>> {
        loop {
            // What is left of the last read goes first; while it does not go, nothing is read, which is the
            // backpressure.
            ready!(self.poll_pending(context, to, moved))?;
            match self.state {
                DirectionState::Ended => return Poll::Ready(Ok(())),
                DirectionState::Ending => {
                    // A writer that is gone already needs no telling.
                    let _ = ready!(to.poll_shutdown(context));
                    self.state = DirectionState::Ended;
                }
                DirectionState::Open => {
                    // Not initialised: every poll that finds nothing would pay for 16 KiB of zeros.
                    let mut stack = [std::mem::MaybeUninit::uninit(); READ];
                    let mut buffer = ReadBuf::uninit(&mut stack);
                    match from.poll_read(context, &mut buffer) {
                        Poll::Ready(read) => read?,
                        Poll::Pending => {
                            // Flushed only when there is nothing to read: a burst goes out together, and its end does
                            // not wait in TLS's buffer.
                            ready!(to.poll_flush(context))?;
                            return Poll::Pending;
                        }
                    }
                    self.write(context, buffer.filled(), to, moved)?;
                }
            }
        }
    }

    /// Writes what was just read, and keeps what is not taken at once.
    fn write(
        &mut self,
        context: &mut Context<'_>,
        read: &[u8],
        to: &mut TunnelEnd,
        moved: &mut usize,
    ) -> io::Result<()> {
        if read.is_empty() {
            self.state = DirectionState::Ending;
            return Ok(());
        }
        // Tried at once from the stack, so that a reader that keeps up costs no buffer.
        let taken = match to.poll_write(context, read) {
            Poll::Ready(taken) => taken?,
            Poll::Pending => 0,
        };
        self.passed(&read[..taken], moved);
        self.pending.extend_from_slice(&read[taken..]);
        Ok(())
    }

    fn poll_pending(
        &mut self,
        context: &mut Context<'_>,
        to: &mut TunnelEnd,
        moved: &mut usize,
    ) -> Poll<io::Result<()>> {
        while self.taken < self.pending.len() {
            let taken = ready!(to.poll_write(context, &self.pending[self.taken..]))?;
            // A writer that takes nothing and is not blocked never will; without this it would loop for ever.
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            // Moved out and back, as the frames are noted through `self`; nothing is copied.
            let rest = std::mem::take(&mut self.pending);
            self.passed(&rest[self.taken..self.taken + taken], moved);
            self.pending = rest;
            self.taken += taken;
        }
        // Given back to the allocator: of thousands of tunnels most are idle, and each would keep its largest piece.
        self.pending = Vec::new();
        self.taken = 0;
        Poll::Ready(Ok(()))
    }

    // Counted as taken by the other side and not as read: the idle timeout must not be put off by a peer that takes
    // nothing.
    fn passed(&mut self, bytes: &[u8], moved: &mut usize) {
        *moved += bytes.len();
        if let Some(frames) = &mut self.frames {
            frames.pass(bytes);
        }
    }

    pub(super) fn at_boundary(&self) -> bool {
        self.pending.is_empty() && self.frames.as_ref().is_some_and(Frames::at_boundary)
    }
}

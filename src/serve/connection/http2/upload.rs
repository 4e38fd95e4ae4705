//! The body of one HTTP/2 request. In: DATA frames of any size. Out: a body whose memory is bounded by its bytes.
//!
//! h2 keeps every DATA frame that nobody has read as an entry of its own, some 250 bytes each, and ends the whole
//! connection when there are too many of them. A frame may hold one byte, and how large the frames are is the user's
//! choice. So frames are taken over as they arrive, also while the backend does not read, and small ones are joined.
//! The window is given back only for bytes that were passed on: what is held here never exceeds the stream's window.
//!
//! RFC 9113 sections 5.2 (flow control) and 6.1 (DATA).

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// A piece below this is copied and joined with its neighbours; a larger one is kept as it came.
const SMALL_PIECE: usize = 4096;

/// Takes frames over while the reader of the body is busy; dropped when the exchange is over.
#[derive(Debug)]
pub(super) struct Intake(Arc<Mutex<Upload>>);

/// The body as the stages read it.
#[derive(Debug)]
pub(super) struct UploadBody {
    upload: Arc<Mutex<Upload>>,
    /// Bytes still to come, where the caller said how many there are.
    remaining: Option<u64>,
}

#[derive(Debug)]
struct Upload {
    /// Gone when the exchange is over, so that the caller may not send on.
    stream: Option<RecvStream>,
    buffer: PieceBuffer,
    /// What follows the last piece, once that is known.
    end: Option<Result<Option<HeaderMap>, h2::Error>>,
    watch: Watch,
    /// The task that takes frames over while the reader is busy.
    intake: Option<Waker>,
}

/// Whom the next frame wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// The reader, which has nothing to read.
    Reader,
    /// The intake, as the reader is busy or has not begun.
    Intake,
}

/// The two ends of one request's body; `length` is what its `Content-Length` says.
pub(super) fn upload(stream: RecvStream, length: Option<u64>) -> (Intake, UploadBody) {
    let upload = Arc::new(Mutex::new(Upload {
        stream: Some(stream),
        buffer: PieceBuffer::default(),
        end: None,
        watch: Watch::Intake,
        intake: None,
    }));
    let body = UploadBody {
        upload: Arc::clone(&upload),
        remaining: length,
    };
    (Intake(upload), body)
}

fn lock(upload: &Mutex<Upload>) -> MutexGuard<'_, Upload> {
    upload.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Intake {
    /// Takes over every frame at hand, unless the reader waits for it.
    pub(super) fn poll(&self, context: &mut Context<'_>) {
        // Held for a few moves of pointers and never across an await: the task of the stream and the reader both come
        // here.
        let mut upload = lock(&self.0);
        let is_known = |waker: &Waker| waker.will_wake(context.waker());
        // The waker is cloned only when it changed, as this runs for every frame of the stream.
        if !upload.intake.as_ref().is_some_and(is_known) {
            upload.intake = Some(context.waker().clone());
        }
        if upload.watch == Watch::Intake {
            upload.take_over(context);
        }
    }

    /// Ready when the body has ended, or when somebody still reads it. A body that nobody will read is thrown away.
    pub(super) fn poll_unread(&self, context: &mut Context<'_>) -> Poll<()> {
        // More than one owner means that the reader's end still exists, and reading is its business.
        if Arc::strong_count(&self.0) > 1 {
            return Poll::Ready(());
        }
        let mut upload = lock(&self.0);
        while upload.end.is_none() {
            // Thrown away before the next one is taken, so that the window opens again and nothing grows.
            while upload.discard_piece() {}
            ready!(upload.take_frame(context));
        }
        Poll::Ready(())
    }

    /// The caller's own breach of the protocol, if the body ended with one.
    pub(super) fn breach(&self) -> Option<h2::Reason> {
        match &lock(&self.0).end {
            // Only h2's own finding is the caller's breach. A reset by the caller is its right.
            Some(Err(failed)) if failed.is_library() => failed.reason(),
            Some(_) | None => None,
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        let mut upload = lock(&self.0);
        // What nobody will read is freed at once, although the reader may still hold its end.
        upload.buffer = PieceBuffer::default();
        upload
            // A reader that goes on learns that it was cut, and not that the body was complete.
            .end
            .get_or_insert_with(|| Err(h2::Reason::CANCEL.into()));
        // Dropping the stream tells h2 that no more is wanted, so the caller's window closes.
        upload.stream = None;
    }
}

impl Upload {
    fn take_over(&mut self, context: &mut Context<'_>) {
        while self.end.is_none() && self.take_frame(context).is_ready() {}
    }

    fn take_frame(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // The exchange is over; `end` says so to whoever reads.
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(());
        };
        match ready!(stream.poll_data(context)) {
            Some(Ok(piece)) => self.buffer.push(piece),
            Some(Err(failed)) => self.end = Some(end_of(failed)),
            None => {
                // Trailers come behind the last byte, and only together with them is the body at its end.
                let trailers = ready!(stream.poll_trailers(context));
                self.end = Some(trailers.or_else(end_of));
            }
        }
        Poll::Ready(())
    }

    /// Gives a piece's part of the window back.
    fn take_piece(&mut self) -> Option<Bytes> {
        let piece = self.buffer.pop()?;
        if let Some(stream) = &mut self.stream {
            // Here and not when the frame came: what was not passed on keeps its part of the window, which bounds this
            // memory. It fails only after the stream has failed, when nobody minds.
            let _ = stream.flow_control().release_capacity(piece.len());
        }
        Some(piece)
    }

    fn discard_piece(&mut self) -> bool {
        self.take_piece().is_some()
    }

    /// Hands out the next piece and leaves the watch to the intake.
    fn next_piece(&mut self) -> Option<Bytes> {
        let piece = self.take_piece()?;
        // The reader is busy with this piece now, so the intake takes what comes meanwhile.
        self.watch = Watch::Intake;
        if let Some(intake) = self.intake.take() {
            // Once at once: frames that are there already would wake nobody any more.
            self.take_over(&mut Context::from_waker(&intake));
            self.intake = Some(intake);
        }
        Some(piece)
    }
}

/// A reset without an error only says that no more will come (RFC 9113 section 8.1).
fn end_of(failed: h2::Error) -> Result<Option<HeaderMap>, h2::Error> {
    if failed.reason() == Some(h2::Reason::NO_ERROR) {
        Ok(None)
    } else {
        Err(failed)
    }
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let mut upload = lock(&self.upload);
        if upload.buffer.is_empty() && upload.end.is_none() {
            // The reader waits itself; if the intake were woken too, each frame would wake two tasks.
            upload.watch = Watch::Reader;
            ready!(upload.take_frame(context));
        }
        if let Some(piece) = upload.next_piece() {
            // The lock ends before anything of the reader's own is touched.
            drop(upload);
            if let Some(remaining) = &mut self.remaining {
                *remaining = remaining.saturating_sub(piece.len() as u64);
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        // Said once. Whoever asks again after an error gets a plain end, as `Body` allows.
        let end = upload.end.replace(Ok(None)).unwrap_or(Ok(None));
        Poll::Ready(
            end.map(|trailers| trailers.map(Frame::trailers))
                .transpose(),
        )
    }

    fn is_end_stream(&self) -> bool {
        let upload = lock(&self.upload);
        // A body that broke off has no end that could be told ahead: its error has to be read first.
        let has_ended = match &upload.end {
            Some(Ok(trailers)) => trailers.is_none(),
            Some(Err(_)) => false,
            None => upload
                .stream
                .as_ref()
                .is_some_and(RecvStream::is_end_stream),
        };
        has_ended && upload.buffer.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Pieces in their order, small ones joined.
#[derive(Debug, Default)]
struct PieceBuffer {
    whole: VecDeque<Bytes>,
    /// Small pieces that came after the last of `whole`.
    joined: BytesMut,
}

impl PieceBuffer {
    fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.joined.is_empty()
    }

    fn push(&mut self, piece: Bytes) {
        // A piece that is read at once is never copied. Small ones that wait are, so that a frame of one byte costs one
        // byte.
        if piece.len() >= SMALL_PIECE || self.is_empty() {
            // What was joined came before this piece, and goes before it.
            if !self.joined.is_empty() {
                self.whole.push_back(self.joined.split().freeze());
            }
            if !piece.is_empty() {
                self.whole.push_back(piece);
            }
        } else {
            self.joined.extend_from_slice(&piece);
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let first = self.whole.pop_front();
        first.or_else(|| (!self.joined.is_empty()).then(|| self.joined.split().freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pop_all(mut buffer: PieceBuffer) -> Vec<Bytes> {
        std::iter::from_fn(|| buffer.pop()).collect()
    }

    #[test]
    fn small_pieces_become_one_and_the_order_stays() {
        let mut buffer = PieceBuffer::default();
        let large = Bytes::from(vec![b'l'; SMALL_PIECE]);
        buffer.push(Bytes::from_static(b"first"));
        for byte in [b"a", b"b", b"c"] {
            buffer.push(Bytes::from_static(byte));
        }
        buffer.push(large.clone());
        buffer.push(Bytes::from_static(b"d"));
        buffer.push(Bytes::from_static(b"e"));
        assert_eq!(pop_all(buffer), [&b"first"[..], b"abc", &large, b"de"]);
    }

    #[test]
    fn sixty_four_thousand_pieces_of_one_byte_are_held_as_two() {
        let mut buffer = PieceBuffer::default();
        for _ in 0..1 << 16 {
            buffer.push(Bytes::from_static(b"x"));
        }
        assert!(
            buffer.joined.capacity() <= 2 << 16,
            "{}",
            buffer.joined.capacity()
        );
        assert_eq!(pop_all(buffer).len(), 2);
    }

    #[test]
    fn nothing_is_held_as_nothing() {
        let mut buffer = PieceBuffer::default();
        buffer.push(Bytes::new());
        assert!(buffer.is_empty());
    }
}

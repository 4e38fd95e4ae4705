//! A body on its way through decoder, rewriter and encoder.
//!
//! In: a backend's body. Out: the rewritten one, in the same encoding, with the same trailers. It waits for nothing:
//! when the backend pauses, all that was understood so far goes out. Memory holds one decoded piece of [`PIECE`] bytes,
//! what the rewriter keeps, and what came of one step of that piece ([`super::steps`]): the next step waits until that
//! is handed out.
//!
//! Ends with an error, and so does the caller's body: when the backend's does, when the encoding is broken or ends
//! early, and when more than the limit of bytes was decoded. Passes untouched what would need a larger window than its
//! content coding has, and what finds no room in the [`Budget`] when it begins.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use tokio::io::ReadBuf;

use super::budget::{Budget, Share};
use super::encoding::{Begin, Decoder, Encoder, Encoding, Format};
use super::rewriter::Rewriter;
use super::source::BodySource;
use super::steps::PIECE;

/// So much of a window is reserved before a page begins, so that pages that aren't larger never end early.
const FIRST_DECODED: usize = 512 * 1024;

/// As much as this goes out in one frame.
const FRAME: usize = 16 * 1024;

/// After so many steps without a frame, others get their turn; sooner if the steps took long.
const STEPS_A_TURN: usize = 8;
const LONGEST_TURN: Duration = Duration::from_millis(1);

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
enum PageError {
    #[error(
        "the page has more than {limit} bytes when decoded, which is the limit for pages that are rewritten"
    )]
    TooLarge { limit: u64 },
    #[error("too many large pages are decoded at once")]
    Crowded,
    #[error("the page's content encoding is broken or ends early")]
    Encoding(#[source] io::Error),
}

/// The rewritten body.
pub(super) struct RewrittenBody {
    stage: Stage,
    encoding: Encoding,
    rewriter: Rewriter,
    /// What the rewriter gave out.
    page: Vec<u8>,
    piece: Box<[u8]>,
    /// What of the piece was decoded and is still to be rewritten.
    left: Range<usize>,
    /// How much of it is rewritten in one go.
    step: usize,
    decoded: u64,
    limit: u64,
    budget: Arc<Budget>,
}

enum Stage {
    Begins(BodySource),
    /// Nothing of it is rewritten.
    Passes(BodySource),
    Flows(Box<Flow>),
    Over,
}

struct Flow {
    decoder: Decoder,
    encoder: Encoder,
    reach: Reach,
    need: Need,
    share: Share,
}

/// What decoder and encoder of a page hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    pub(super) format: Format,
    pub(super) window: usize,
}

impl Need {
    /// Bytes after so many were decoded: a window is only as large as what is in it.
    pub(super) fn at(self, decoded: usize) -> usize {
        let window = self.window.min(decoded);
        match self.format {
            Format::Plain => 48 * 1024,
            Format::Gzip | Format::Zlib | Format::BareDeflate => 256 * 1024,
            // Its ring is copied to one of twice the size as it fills.
            Format::Brotli => 1024 * 1024 + window + window / 2,
            Format::Zstd => 1280 * 1024 + window,
        }
    }
}

/// How far the bytes have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// All that was read went out, or is ready to.
    Out,
    /// Something is in the encoder that did not come out.
    Encoder,
    /// There is no more.
    End,
}

impl RewrittenBody {
    pub(super) fn new(
        body: Body,
        encoding: Encoding,
        rewriter: Rewriter,
        step: usize,
        (limit, budget): (u64, Arc<Budget>),
    ) -> Self {
        Self {
            stage: Stage::Begins(BodySource::new(body)),
            encoding,
            rewriter,
            page: Vec::new(),
            piece: vec![0; PIECE].into(),
            left: 0..0,
            step,
            decoded: 0,
            limit,
            budget,
        }
    }

    /// One step; `None` if the next can follow at once.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Next>, axum::Error>> {
        match &mut self.stage {
            Stage::Over => Poll::Ready(Ok(Some(Next::Nothing))),
            Stage::Passes(source) => {
                let frame = ready!(source.poll_frame(context)).transpose()?;
                // Untouched, trailers too: nothing of it was read.
                Poll::Ready(Ok(Some(frame.map_or(Next::Nothing, Next::Frame))))
            }
            Stage::Begins(source) => {
                let encoding = self.encoding;
                // Only the first bytes say which format it is, and how much a decoder would have to keep.
                let begin = source.poll_begin(context, |begin, ended| {
                    match Begin::of(encoding, begin, ended) {
                        Begin::Unclear => None,
                        clear => Some(clear),
                    }
                });
                let begin = match ready!(begin) {
                    // What needs more first bytes than are kept is no format of the web.
                    Ok(begin) => begin.unwrap_or(Begin::TooLarge),
                    Err(error) => return Poll::Ready(Err(failure(source, error))),
                };
                self.begin(begin);
                Poll::Ready(Ok(None))
            }
            Stage::Flows(flow) => {
                let ready = flow.encoder.ready();
                // Given out in frames of a useful size; the last ones as they are.
                if ready.len() >= FRAME || (flow.reach == Reach::End && !ready.is_empty()) {
                    return Poll::Ready(Ok(Some(Next::data(ready))));
                }
                if flow.reach == Reach::End {
                    return self.poll_trailers(context).map_ok(Some);
                }
                self.poll_piece(context)
            }
        }
    }

    /// Takes the decoder for what the body turned out to be, if there is room for it.
    fn begin(&mut self, begin: Begin) {
        let Stage::Begins(source) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        let Begin::Is(format, window) = begin else {
            tracing::debug!("a page's window is larger than its content coding allows");
            self.stage = Stage::Passes(source);
            return;
        };
        let need = Need { format, window };
        // Asked before the first byte is decoded: a page that begins to be rewritten ends rewritten or with an error.
        let Some(share) = self.budget.share(need.at(FIRST_DECODED)) else {
            self.stage = Stage::Passes(source);
            return;
        };
        self.stage = Stage::Flows(Box::new(Flow {
            decoder: Decoder::new(format, source),
            encoder: Encoder::new(format),
            reach: Reach::Out,
            need,
            share,
        }));
    }

    /// Takes one step of a piece through, after the next piece was decoded if none is left.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Next>, axum::Error>> {
        if self.left.is_empty()
            // What was decoded before goes on first, in steps that are small enough.
            && let Some(next) = ready!(self.poll_decode(context))?
        {
            return Poll::Ready(Ok(Some(next)));
        }
        let Stage::Flows(flow) = &mut self.stage else {
            return Poll::Ready(Ok(None));
        };
        // Nothing was decoded: that is the end.
        let ended = self.left.is_empty();
        if ended {
            self.rewriter.end(&mut self.page);
        } else {
            let end = self.left.end.min(self.left.start + self.step);
            // A step at a time, as a few bytes of links may become many.
            let step = &self.piece[self.left.start..end];
            self.left.start = end;
            self.rewriter.write(step, &mut self.page);
        }
        if !self.page.is_empty() {
            flow.reach = Reach::Encoder;
        }
        flow.encoder
            .write(&mut self.page)
            .map_err(axum::Error::new)?;
        if ended {
            // Once, as the encoder's end must not be written twice.
            flow.encoder.finish().map_err(axum::Error::new)?;
            flow.reach = Reach::End;
        }
        Poll::Ready(Ok(None))
    }

    /// Decodes the next piece; what is ready goes out while there is none.
    fn poll_decode(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Next>, axum::Error>> {
        let Stage::Flows(flow) = &mut self.stage else {
            return Poll::Ready(Ok(None));
        };
        let mut piece = ReadBuf::new(&mut self.piece);
        match flow.decoder.poll_read(context, &mut piece) {
            Poll::Pending => {
                // The backend pauses, so all that is known goes out: a page may stream for hours.
                if flow.reach == Reach::Encoder {
                    flow.encoder.flush().map_err(axum::Error::new)?;
                    flow.reach = Reach::Out;
                }
                let ready = flow.encoder.ready();
                if ready.is_empty() {
                    return Poll::Pending;
                }
                return Poll::Ready(Ok(Some(Next::data(ready))));
            }
            Poll::Ready(Err(error)) => {
                return Poll::Ready(Err(failure(flow.decoder.source(), error)));
            }
            Poll::Ready(Ok(())) => {}
        }
        self.left = 0..piece.filled().len();
        self.decoded += self.left.len() as u64;
        // Counted after decoding, as a few bytes may unfold to gigabytes.
        if self.decoded > self.limit {
            let limit = self.limit;
            tracing::warn!(limit, "page is larger than the limit when decoded");
            return Poll::Ready(Err(axum::Error::new(PageError::TooLarge { limit })));
        }
        let decoded = usize::try_from(self.decoded).unwrap_or(usize::MAX);
        // The window grows with the page; in steps, as the budget is shared by all threads.
        if decoded > FIRST_DECODED
            && !flow
                .share
                .grow_to(flow.need.at(decoded.next_multiple_of(FIRST_DECODED)))
        {
            return Poll::Ready(Err(axum::Error::new(PageError::Crowded)));
        }
        Poll::Ready(Ok(None))
    }

    fn poll_trailers(&mut self, context: &mut Context<'_>) -> Poll<Result<Next, axum::Error>> {
        let Stage::Flows(flow) = &mut self.stage else {
            return Poll::Ready(Ok(Next::Nothing));
        };
        let source = flow.decoder.source();
        // What follows the encoded stream is read to its end, as the trailers come behind it.
        if let Err(error) = ready!(source.poll_drain(context)) {
            return Poll::Ready(Err(failure(source, error)));
        }
        let trailers = source.trailers.take();
        self.stage = Stage::Over;
        Poll::Ready(Ok(trailers.map_or(Next::Nothing, |trailers| {
            Next::Frame(Frame::trailers(trailers))
        })))
    }
}

/// What a step came to.
enum Next {
    Frame(Frame<Bytes>),
    Nothing,
}

impl Next {
    fn data(ready: &mut Vec<u8>) -> Self {
        Self::Frame(Frame::data(std::mem::take(ready).into()))
    }
}

/// The backend's own failure if it was that, so that a body that broke off is told from one that was wrongly encoded.
fn failure(source: &mut BodySource, error: io::Error) -> axum::Error {
    source
        .failure
        .take()
        .unwrap_or_else(|| axum::Error::new(PageError::Encoding(error)))
}

impl http_body::Body for RewrittenBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let begun = Instant::now();
        // Some steps at once, then others get their turn: a page that decodes well could keep a worker for long.
        for _ in 0..STEPS_A_TURN {
            match ready!(self.poll_step(context)) {
                Ok(None) if begun.elapsed() > LONGEST_TURN => break,
                Ok(None) => {}
                Ok(Some(Next::Frame(frame))) => return Poll::Ready(Some(Ok(frame))),
                Ok(Some(Next::Nothing)) => return Poll::Ready(None),
                Err(error) => {
                    self.stage = Stage::Over;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        // Woken at once, as there is more to do already.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }
}

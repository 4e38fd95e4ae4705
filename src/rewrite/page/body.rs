//! A body on its way through decoder, rewriter and encoder.
//!
//! In: a backend's body. Out: the rewritten one, in the same encoding, with the same trailers. It waits for nothing: when
//! the backend pauses, all that was understood so far goes out. Memory holds one decoded piece of
//! [`PIECE`] bytes and what the rewriter keeps.
//!
//! Ends with an error, and so does the caller's body: when the backend's does, when the encoding is broken or ends early, and
//! when more than the limit of bytes was decoded.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use tokio::io::ReadBuf;

use super::encoding::{Decoder, Encoder, Encoding, Format};
use super::media::Rewriter;
use super::source::Source;

/// How much is decoded at once.
const PIECE: usize = 16 * 1024;

/// As much as this goes out in one frame.
const FRAME: usize = 16 * 1024;

/// After so many pieces without a frame, others get their turn.
const PIECES_A_TURN: usize = 32;

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
enum PageError {
    #[error(
        "the page has more than {limit} bytes when decoded, which is the limit for pages that are rewritten"
    )]
    TooLarge { limit: u64 },
    #[error("the page's content encoding is broken or ends early")]
    Encoding(#[source] io::Error),
}

/// The rewritten body.
pub(super) struct Rewritten {
    stage: Stage,
    encoding: Encoding,
    rewriter: Rewriter,
    /// What the rewriter gave out.
    page: Vec<u8>,
    piece: Box<[u8]>,
    decoded: u64,
    limit: u64,
}

enum Stage {
    Begins(Source),
    Flows(Box<Flow>),
    Over,
}

struct Flow {
    decoder: Decoder,
    encoder: Encoder,
    reach: Reach,
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

impl Rewritten {
    pub(super) fn new(body: Body, encoding: Encoding, rewriter: Rewriter, limit: u64) -> Self {
        Self {
            stage: Stage::Begins(Source::new(body)),
            encoding,
            rewriter,
            page: Vec::new(),
            piece: vec![0; PIECE].into(),
            decoded: 0,
            limit,
        }
    }

    /// One step; `None` if the next can follow at once.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Next>, axum::Error>> {
        match &mut self.stage {
            Stage::Over => Poll::Ready(Ok(Some(Next::Nothing))),
            Stage::Begins(source) => {
                let begin = match ready!(source.poll_begin(context)) {
                    Ok(begin) => begin,
                    Err(error) => return Poll::Ready(Err(failure(source, error))),
                };
                let format = Format::of(self.encoding, begin);
                if let Stage::Begins(source) = std::mem::replace(&mut self.stage, Stage::Over) {
                    self.stage = Stage::Flows(Box::new(Flow {
                        decoder: Decoder::new(format, source),
                        encoder: Encoder::new(format),
                        reach: Reach::Out,
                    }));
                }
                Poll::Ready(Ok(None))
            }
            Stage::Flows(flow) => {
                let ready = flow.encoder.ready();
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

    /// Takes one piece through.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Next>, axum::Error>> {
        let Stage::Flows(flow) = &mut self.stage else {
            return Poll::Ready(Ok(None));
        };
        let mut piece = ReadBuf::new(&mut self.piece);
        match flow.decoder.poll_read(context, &mut piece) {
            Poll::Pending => {
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
        let piece = piece.filled();
        self.decoded += piece.len() as u64;
        if self.decoded > self.limit {
            let limit = self.limit;
            tracing::warn!(limit, "page is larger than the limit when decoded");
            return Poll::Ready(Err(axum::Error::new(PageError::TooLarge { limit })));
        }
        if piece.is_empty() {
            self.rewriter.end(&mut self.page);
        } else {
            self.rewriter.write(piece, &mut self.page);
        }
        if !self.page.is_empty() {
            flow.reach = Reach::Encoder;
        }
        let ended = piece.is_empty();
        flow.encoder
            .write(&mut self.page)
            .map_err(axum::Error::new)?;
        if ended {
            flow.encoder.finish().map_err(axum::Error::new)?;
            flow.reach = Reach::End;
        }
        Poll::Ready(Ok(None))
    }

    fn poll_trailers(&mut self, context: &mut Context<'_>) -> Poll<Result<Next, axum::Error>> {
        let Stage::Flows(flow) = &mut self.stage else {
            return Poll::Ready(Ok(Next::Nothing));
        };
        let source = flow.decoder.source();
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
fn failure(source: &mut Source, error: io::Error) -> axum::Error {
    source
        .failure
        .take()
        .unwrap_or_else(|| axum::Error::new(PageError::Encoding(error)))
}

impl http_body::Body for Rewritten {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        for _ in 0..PIECES_A_TURN {
            match ready!(self.poll_step(context)) {
                Ok(None) => {}
                Ok(Some(Next::Frame(frame))) => return Poll::Ready(Some(Ok(frame))),
                Ok(Some(Next::Nothing)) => return Poll::Ready(None),
                Err(error) => {
                    self.stage = Stage::Over;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }
}

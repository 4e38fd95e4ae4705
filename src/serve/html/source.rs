//! A backend's body, as decoders want to read it.
//!
//! In: a body. Out: its bytes, without a copy; what comes after them (trailers) and what went wrong are kept for the
//! one who drives the decoder.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body as _, Frame};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

/// Whether there is more of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    No,
    Yes,
}

#[derive(Debug)]
pub(super) struct BodySource {
    body: Body,
    chunk: Bytes,
    ended: bool,
    pub trailers: Option<HeaderMap>,
    /// Why the body ended before its end.
    pub failure: Option<axum::Error>,
}

impl BodySource {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            chunk: Bytes::new(),
            ended: false,
            trailers: None,
            failure: None,
        }
    }

    /// The first bytes, as many as `read` needs to make something of them. They stay to be read.
    pub(super) fn poll_begin<T>(
        &mut self,
        context: &mut Context<'_>,
        read: impl Fn(&[u8], Ended) -> Option<T>,
    ) -> Poll<io::Result<Option<T>>> {
        loop {
            let ended = if self.ended { Ended::Yes } else { Ended::No };
            let found = read(&self.chunk, ended);
            if found.is_some() || self.ended {
                return Poll::Ready(Ok(found));
            }
            // Put before what comes, as the first bytes are looked at and not taken.
            let begin = std::mem::take(&mut self.chunk);
            let polled = self.poll_chunk(context);
            // Also when nothing came: a pending body must not lose its beginning.
            if !begin.is_empty() {
                self.chunk = [&begin[..], &self.chunk[..]].concat().into();
            }
            ready!(polled)?;
        }
    }

    /// The next bytes as they are, or the trailers behind them.
    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match ready!(self.poll_chunk(context)) {
            Err(broken) => {
                let failure = self.failure.take();
                Poll::Ready(Some(Err(
                    failure.unwrap_or_else(|| axum::Error::new(broken))
                )))
            }
            Ok(()) if self.chunk.is_empty() => Poll::Ready(
                self.trailers
                    .take()
                    .map(|trailers| Ok(Frame::trailers(trailers))),
            ),
            Ok(()) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.chunk))))),
        }
    }

    /// Reads to the end and keeps nothing but the trailers.
    pub(super) fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Each chunk is dropped before the next is asked for, so a long rest costs no memory.
        while !self.ended {
            self.chunk.clear();
            ready!(self.poll_chunk(context))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Gets the next chunk that isn't empty, if there is another.
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Empty frames are no end: decoders take an empty read for one.
        while !self.ended && self.chunk.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.chunk = data,
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Some(Err(failure)) => {
                    // Kept, as decoders pass on nothing but an `io::Error`, and the caller is told the cause.
                    self.failure = Some(failure);
                    // A body that failed is not polled again.
                    self.ended = true;
                    return Poll::Ready(Err(io::Error::other("the body broke off")));
                }
                None => self.ended = true,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for BodySource {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let source = self.get_mut();
        ready!(source.poll_chunk(context))?;
        Poll::Ready(Ok(&source.chunk))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.chunk.advance(amount);
    }
}

impl AsyncRead for BodySource {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        piece: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let chunk = ready!(self.as_mut().poll_fill_buf(context))?;
        // As much as fits; the rest of the chunk stays for the next read.
        let amount = chunk.len().min(piece.remaining());
        piece.put_slice(&chunk[..amount]);
        self.consume(amount);
        Poll::Ready(Ok(()))
    }
}

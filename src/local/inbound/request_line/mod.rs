//! Request lines as tools write them.
//!
//! curl sends the PromQL of `…/query?query=up{job="node"}` as it is typed, and Go's server takes it. The HTTP library
//! here takes no URL with such bytes, and answers 400 before anything of ours sees the request. In: what a client
//! sends. Out: the same, with escapes for those bytes in the path and query of an HTTP/1 request line, as browsers
//! write them.
//!
//! Only a request line is changed: the first bytes of a connection, and those that come after a request is over, which
//! the connection's service tells ([`NextHead`]). A body, a tunnel and HTTP/2 pass untouched. What is no request line
//! that begins with a method and a path passes as well, for the library to refuse. No byte that ends a line or parts
//! its words is made or taken away, so requests end where they ended.
//!
//! <https://url.spec.whatwg.org/>: "query percent-encode set"; httpwg's RFC 9112 section 3.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use http::{Method, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::protocol::status::Request;

/// So much of a head is read at once; what comes of it is three times as long at the most.
const READ_BYTES: usize = 4096;

/// A connection whose request lines have escapes.
pub(in crate::local) struct RequestLines<S> {
    stream: S,
    at: At,
    next_head: NextHead,
    /// What came behind a head, before it was known what it is.
    behind: BytesMut,
    /// What is to be handed out.
    ready: BytesMut,
}

/// Says that a request is over, so that a head comes next.
#[derive(Debug, Clone, Default)]
pub(in crate::local) struct NextHead(Arc<AtomicBool>);

/// Which part of a connection the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before a method. Empty lines don't count (RFC 9112 section 2.2).
    Begin,
    Method,
    Target,
    Path,
    Query,
    /// The rest of the head, after so many line ends on end.
    Head(u8),
    /// A body, a tunnel, or what is no head.
    Other,
}

impl<S> RequestLines<S> {
    pub(in crate::local) fn new(stream: S) -> (Self, NextHead) {
        let next_head = NextHead::default();
        let lines = Self {
            stream,
            at: At::Begin,
            next_head: next_head.clone(),
            behind: BytesMut::new(),
            ready: BytesMut::new(),
        };
        (lines, next_head)
    }
}

impl NextHead {
    /// The request of this connection with a body that says when it is over. After an upgrade there is no other head.
    pub(in crate::local) fn after(&self, request: http::Request<Incoming>) -> Request {
        let is_http1 = request.version() <= Version::HTTP_11;
        let is_upgrade =
            // After an upgrade come bytes of another protocol, in which nothing may be changed.
            request.method() == Method::CONNECT || request.headers().contains_key(header::UPGRADE);
        if !is_http1 || is_upgrade {
            return request.map(Body::new);
        }
        // A request without a body is over with its head, so the next byte begins another one.
        if request.body().is_end_stream() {
            self.comes();
            return request.map(Body::new);
        }
        request.map(|body| {
            let next_head = Some(self.clone());
            Body::new(UntilEnd { body, next_head })
        })
    }

    fn comes(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl At {
    /// Where the byte after this one stands.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Begin, b'\r' | b'\n') => Self::Begin,
            (Self::Method, b' ') => Self::Target,
            (Self::Begin | Self::Method, byte) if is_of_method(byte) => Self::Method,
            (Self::Begin | Self::Method, _) => Self::Other,
            // The question mark is the border between two sets of bytes.
            (Self::Path, b'?') => Self::Query,
            (Self::Target, b'/') => Self::Path,
            (Self::Target | Self::Path | Self::Query, b'\n') => Self::Head(1),
            (Self::Path, byte) if byte != b' ' => Self::Path,
            (Self::Query, byte) if byte != b' ' => Self::Query,
            // The version follows, and nothing of it is changed.
            (Self::Target | Self::Path | Self::Query, _) => Self::Head(0),
            (Self::Head(0), b'\n') => Self::Head(1),
            (Self::Head(1), b'\n') => Self::Other,
            (Self::Head(ends), b'\r') => Self::Head(ends),
            (Self::Head(_), _) => Self::Head(0),
            (Self::Other, _) => Self::Other,
        }
    }

    /// Whether the HTTP library takes no URL with this byte here, or would cut it there without a word.
    fn is_refused(self, byte: u8) -> bool {
        match self {
            // A `#` ends a URL for the library, which would drop the rest without a word.
            Self::Path => matches!(byte, b'#' | b'<' | b'>' | b'`' | 0x80..),
            Self::Query => matches!(byte, b'"' | b'#' | b'<' | b'>' | 0x80..),
            Self::Begin | Self::Method | Self::Target | Self::Head(_) | Self::Other => false,
        }
    }

    /// Takes bytes over to the end of a head. Says how many.
    fn pass(&mut self, bytes: &[u8], out: &mut BytesMut) -> usize {
        for (at, byte) in bytes.iter().copied().enumerate() {
            if *self == Self::Other {
                return at;
            }
            if self.is_refused(byte) {
                out.extend_from_slice(&escape(byte));
            } else {
                out.extend_from_slice(&[byte]);
            }
            *self = self.after(byte);
        }
        bytes.len()
    }
}

fn escape(byte: u8) -> [u8; 3] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |half: u8| DIGITS[usize::from(half)];
    [b'%', digit(byte >> 4), digit(byte & 15)]
}

fn is_of_method(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl<S: AsyncRead + Unpin> AsyncRead for RequestLines<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                let length = this.ready.len().min(buf.remaining());
                buf.put_slice(&this.ready.split_to(length));
                return Poll::Ready(Ok(()));
            }
            if this.at == At::Other {
                // Only now is it known that a head comes: the service has seen the whole request before it.
                if this.next_head.take() {
                    this.at = At::Begin;
                // Nothing waits, so the bytes go straight to the reader, without a copy.
                } else if this.behind.is_empty() {
                    return Pin::new(&mut this.stream).poll_read(context, buf);
                } else {
                    // What came behind the head is a body, and is handed out as it came.
                    this.ready = this.behind.split();
                    continue;
                }
            }
            // Read into a small piece of its own: what the reader gives may be too small for the escapes.
            if this.behind.is_empty() {
                let mut piece = [0; READ_BYTES];
                let mut piece = ReadBuf::new(&mut piece);
                ready!(Pin::new(&mut this.stream).poll_read(context, &mut piece))?;
                if piece.filled().is_empty() {
                    // The end of the stream; what is left of a head is handed out already.
                    return Poll::Ready(Ok(()));
                }
                this.behind.extend_from_slice(piece.filled());
            }
            let passed = this.at.pass(&this.behind, &mut this.ready);
            this.behind.advance(passed);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RequestLines<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
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

/// A request's body, which says when it has come to its end. One that is given up says nothing: what is left of it is
/// no head.
struct UntilEnd {
    body: Incoming,
    /// Gone when that was said: later it would be about another request.
    next_head: Option<NextHead>,
}

impl HttpBody for UntilEnd {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        // Of a body in chunks nothing but the end itself tells it.
        let is_over = match &frame {
            None => true,
            Some(Ok(_)) => self.body.is_end_stream(),
            Some(Err(_)) => false,
        };
        if is_over && let Some(next_head) = self.next_head.take() {
            next_head.comes();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's tasks are not for tests"
)]
mod tests;

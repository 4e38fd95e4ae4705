//! A connection to a backend: it counts what it received, and bounds what a backend may send that is no answer.
//!
//! Informational responses (RFC 9110 section 15.2) are skipped, however many there are. On HTTP/1 their bytes are bounded,
//! as Go's client does it. On HTTP/2 nobody but h2 sees to which request they belong: there [`Http2Reading`] bounds what comes
//! while nothing goes on.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

use super::bulk_read::READ_BYTES;
use super::http2_flood::Http2Reading;
use super::stream::{Tls, Transport};
use super::tls_failure;

/// Bytes that an HTTP/1 backend may send from the request to the end of its answer's head: a head of 256 KiB, two pieces of
/// the body that may have been read before anybody looks, and what comes of informational responses. This bounds the memory
/// of a head too, as the buffer has room for a large piece.
const MAX_BYTES_BEFORE_ANSWER: u64 = 512 << 10;

/// A connection to a backend that counts what it received: nobody else can tell a connection that closed before any byte
/// of an answer from one that closed in the middle.
#[derive(Debug)]
pub(in crate::serve::forward) struct Io {
    transport: Take<Transport>,
    received: Arc<Received>,
    http2: Option<Http2Reading>,
}

/// What came from the backend.
#[derive(Debug)]
pub(in crate::serve::forward) struct Received {
    bytes: AtomicU64,
    /// How many bytes may have come until the head of the answer is whole; all that there can be once it is.
    limit: AtomicU64,
    /// How many bytes one read takes.
    one_read: AtomicUsize,
    /// Of HTTP/2: heads of answers, and pieces of bodies in both directions, that went on.
    passed: AtomicU64,
    /// The first two bytes, once they are there.
    first: AtomicU64,
    /// What the backend said of TLS as it ended. In TLS 1.3 a client certificate is missed only after the handshake.
    alert: OnceLock<AlertDescription>,
    /// Nobody has a use for the connection any more.
    is_given_up: AtomicBool,
}

impl Default for Received {
    fn default() -> Self {
        Self {
            bytes: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            one_read: AtomicUsize::new(READ_BYTES),
            passed: AtomicU64::new(0),
            first: AtomicU64::new(0),
            alert: OnceLock::new(),
            is_given_up: AtomicBool::new(false),
        }
    }
}

impl Received {
    /// A request goes out on an HTTP/1 connection: the head of its answer has to come within some bytes.
    pub(in crate::serve::forward) fn expect_answer(&self) {
        let limit = self.bytes() + MAX_BYTES_BEFORE_ANSWER;
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The head of the answer is there. What follows it comes as fast as its reader reads.
    pub(in crate::serve::forward) fn answered(&self) {
        self.limit.store(u64::MAX, Ordering::Relaxed);
    }

    /// How many bytes one read takes from here on.
    pub(in crate::serve::forward) fn read_at_most(&self, bytes: usize) {
        self.one_read.store(bytes, Ordering::Relaxed);
    }

    /// Nobody has a use for the connection any more: it closes without a wait for a backend that does not read.
    pub(in crate::serve::forward) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    /// What came is too much: the connection ends.
    fn forbid_more(&self) {
        self.limit.store(0, Ordering::Relaxed);
    }

    /// Whether the backend sent too much that is no answer.
    pub(in crate::serve::forward) fn is_flood(&self) -> bool {
        self.bytes() > self.limit.load(Ordering::Relaxed)
    }

    /// A head or a piece of a body goes on.
    pub(in crate::serve::forward) fn pass(&self) {
        self.passed.fetch_add(1, Ordering::Relaxed);
    }

    fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    pub(in crate::serve::forward) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the first thing that came was a TLS record: an alert, or a handshake.
    pub(in crate::serve::forward) fn looks_like_tls(&self) -> bool {
        matches!(self.first.load(Ordering::Relaxed), 0x1503 | 0x1603)
    }

    /// The alert that the backend ended TLS with.
    pub(in crate::serve::forward) fn alert(&self) -> Option<AlertDescription> {
        self.alert.get().copied()
    }

    /// What the end of TLS means to who reads. An end without `close_notify` is one if no record is cut.
    fn ended(&self, tls: &Tls, failed: io::Error) -> io::Result<()> {
        if failed.kind() == io::ErrorKind::UnexpectedEof
            && tls.get_ref().0.observer().is_record_end()
        {
            return Ok(());
        }
        if let Some(alert) = tls_failure::alert(&failed) {
            let _ = self.alert.set(alert);
        }
        Err(failed)
    }

    fn add(&self, new: &[u8]) {
        let before = self.bytes.fetch_add(new.len() as u64, Ordering::Relaxed);
        if let (0, [first, second, ..]) = (before, new) {
            self.first.store(
                u64::from(*first) << 8 | u64::from(*second),
                Ordering::Relaxed,
            );
        }
    }
}

impl Io {
    pub(in crate::serve::forward) fn new(transport: Transport) -> Self {
        Self {
            transport: transport.take(0),
            received: Arc::default(),
            http2: None,
        }
    }

    /// The same for HTTP/2: frames are counted, and other tasks have their turn in between.
    pub(in crate::serve::forward) fn speaking_http2(self) -> Self {
        Self {
            http2: Some(Http2Reading::default()),
            ..self
        }
    }

    pub(in crate::serve::forward) fn received(&self) -> Arc<Received> {
        Arc::clone(&self.received)
    }

    /// What a write does that would have to wait: hyper sends all that it still holds before it closes a connection, which would
    /// keep the rest of an upload for as long as the backend does not read. So what does not go at once is thrown away, in
    /// the kernel too.
    fn unless_given_up<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() || !self.received.is_given_up.load(Ordering::Relaxed) {
            return polled;
        }
        let reset = self.transport.get_ref().reset_on_drop();
        Poll::Ready(Err(reset
            .err()
            .unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into())))
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = self.get_mut();
        if this.http2.as_mut().is_some_and(Http2Reading::has_to_pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let one_read = this.received.one_read.load(Ordering::Relaxed);
        this.transport.set_limit(one_read as u64);
        let mut polled = Pin::new(&mut this.transport).poll_read(context, buffer);
        if let (Poll::Ready(Err(_)), Transport::Tls(tls)) = (&polled, this.transport.get_ref()) {
            polled = polled.map(|failed| failed.or_else(|failed| this.received.ended(tls, failed)));
        }
        let new = &buffer.filled()[before..];
        this.received.add(new);
        if let Some(http2) = &mut this.http2 {
            if polled.is_pending() {
                http2.paused();
            } else if http2.is_flood(new, this.received.passed()) {
                this.received.forbid_more();
            }
        }
        if this.received.is_flood() {
            return Poll::Ready(Err(io::Error::other("too much came before an answer")));
        }
        polled
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(self.transport.get_mut()).poll_write(context, bytes);
        self.unless_given_up(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let transport = Pin::new(self.transport.get_mut());
        let polled = match slices {
            // Most requests are one slice, which the kernel takes faster as what it is.
            [only] => transport.poll_write(context, only),
            _ => transport.poll_write_vectored(context, slices),
        };
        self.unless_given_up(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(self.transport.get_mut()).poll_flush(context);
        self.unless_given_up(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(self.transport.get_mut()).poll_shutdown(context);
        self.unless_given_up(polled)
    }
}

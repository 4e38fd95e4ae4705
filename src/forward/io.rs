//! A connection to a backend: it counts what it received, and bounds what a backend may send that is no answer.
//!
//! Informational responses (RFC 9110 section 15.2) are skipped, however many there are. On HTTP/1 their bytes are bounded,
//! as Go's client does it. On HTTP/2 nobody but h2 sees to which request they belong: there [`Http2Reading`] bounds what comes
//! while nothing goes on.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::http2_reading::Http2Reading;
use super::records::Records;
use super::tls_failure;

/// Bytes that an HTTP/1 backend may send from the request to the end of its answer's head. The head alone may have 256 KiB;
/// as much again, and two pieces of a body, may have been read before anybody looks.
const MAX_BYTES_BEFORE_ANSWER: u64 = 2 << 20;

#[derive(Debug)]
pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<Records<TcpStream>>>),
}

/// A connection to a backend that counts what it received: nobody else can tell a connection that closed before any byte
/// of an answer from one that closed in the middle.
#[derive(Debug)]
pub(super) struct Io {
    transport: Transport,
    received: Arc<Received>,
    http2: Option<Http2Reading>,
}

/// What came from the backend.
#[derive(Debug)]
pub(super) struct Received {
    bytes: AtomicU64,
    /// How many bytes there may be at the most for now.
    limit: AtomicU64,
    /// Of HTTP/2: heads of answers, and pieces of bodies in both directions, that went on.
    passed: AtomicU64,
    /// The first two bytes, once they are there.
    first: AtomicU64,
    /// What the backend said of TLS as it ended. In TLS 1.3 a client certificate is missed only after the handshake.
    alert: OnceLock<AlertDescription>,
}

impl Default for Received {
    fn default() -> Self {
        Self {
            bytes: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            passed: AtomicU64::new(0),
            first: AtomicU64::new(0),
            alert: OnceLock::new(),
        }
    }
}

impl Received {
    /// A request goes out on an HTTP/1 connection: the head of its answer has to come within some bytes.
    pub(super) fn expect_answer(&self) {
        let limit = self.bytes() + MAX_BYTES_BEFORE_ANSWER;
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The head of the answer is there. What follows it comes as fast as its reader reads.
    pub(super) fn answered(&self) {
        self.limit.store(u64::MAX, Ordering::Relaxed);
    }

    /// What came is too much: the connection ends.
    fn forbid_more(&self) {
        self.limit.store(0, Ordering::Relaxed);
    }

    /// Whether the backend sent too much that is no answer.
    pub(super) fn is_flood(&self) -> bool {
        self.bytes() > self.limit.load(Ordering::Relaxed)
    }

    /// A head or a piece of a body goes on.
    pub(super) fn pass(&self) {
        self.passed.fetch_add(1, Ordering::Relaxed);
    }

    fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the first thing that came was a TLS record: an alert, or a handshake.
    pub(super) fn looks_like_tls(&self) -> bool {
        matches!(self.first.load(Ordering::Relaxed), 0x1503 | 0x1603)
    }

    /// The alert that the backend ended TLS with.
    pub(super) fn alert(&self) -> Option<AlertDescription> {
        self.alert.get().copied()
    }

    /// What the end of TLS means to who reads. An end without `close_notify` is one if no record is cut.
    fn ended(&self, tls: &TlsStream<Records<TcpStream>>, failed: io::Error) -> io::Result<()> {
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
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            transport,
            received: Arc::default(),
            http2: None,
        }
    }

    /// The same for HTTP/2: frames are counted, and other tasks have their turn in between.
    pub(super) fn speaking_http2(self) -> Self {
        Self {
            http2: Some(Http2Reading::default()),
            ..self
        }
    }

    pub(super) fn received(&self) -> Arc<Received> {
        Arc::clone(&self.received)
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
        let polled = match &mut this.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Transport::Tls(tls) => match Pin::new(&mut *tls).poll_read(context, buffer) {
                Poll::Ready(Err(failed)) => Poll::Ready(this.received.ended(tls, failed)),
                polled => polled,
            },
        };
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
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Transport::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Most requests are one slice, which the kernel takes faster as what it is.
        if let [only] = slices {
            return self.poll_write(context, only);
        }
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write_vectored(context, slices),
            Transport::Tls(tls) => Pin::new(tls).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(tcp) => tcp.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

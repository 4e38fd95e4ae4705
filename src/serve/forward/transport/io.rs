//! A connection to a backend: it counts what it received, and bounds what a backend may send that is no response.
//!
//! Informational responses (RFC 9110 section 15.2) are skipped, however many there are. On HTTP/1 their bytes are
//! bounded, as Go's client does it. On HTTP/2 nobody but h2 sees to which request they belong: there
//! [`Http2FloodGuard`] bounds what comes while nothing goes on.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

use super::http2_flood::Http2FloodGuard;
use super::stream::{BackendStream, Tls};
use super::tls_failure;

/// Bytes of one read: of a head, and of a body that is not long or found no slot.
pub(in crate::serve::forward) const READ_BYTES: usize = 64 << 10;

/// Bytes that an HTTP/1 backend may send from the request to the end of its response's head: a head of 256 KiB, two
/// pieces of the body that may have been read before anybody looks, and what comes of informational responses. This
/// bounds the memory of a head too, as the buffer has room for a large piece.
const MAX_BYTES_BEFORE_RESPONSE: u64 = 512 << 10;

/// A connection to a backend that counts what it received: nobody else can tell a connection that closed before any
/// byte of a response from one that closed in the middle.
#[derive(Debug)]
pub(in crate::serve::forward) struct Io {
    stream: Take<BackendStream>,
    state: Arc<IoState>,
    http2: Option<Http2FloodGuard>,
}

/// What is known of a connection by the task that reads it, for those who use it.
#[derive(Debug)]
pub(in crate::serve::forward) struct IoState {
    bytes: AtomicU64,
    /// How many bytes may have come until the head of the response is whole; all that there can be once it is.
    limit: AtomicU64,
    /// How many bytes one read takes.
    one_read: AtomicUsize,
    /// Of HTTP/2: heads of responses, and pieces of bodies in both directions, that went on.
    progress: AtomicU64,
    /// The first two bytes, once they are there.
    first: AtomicU64,
    /// What the backend said of TLS as it ended. In TLS 1.3 a client certificate is missed only after the handshake.
    alert: OnceLock<AlertDescription>,
    /// Nobody has a use for the connection any more.
    is_given_up: AtomicBool,
}

impl Default for IoState {
    fn default() -> Self {
        Self {
            bytes: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            one_read: AtomicUsize::new(READ_BYTES),
            progress: AtomicU64::new(0),
            first: AtomicU64::new(0),
            alert: OnceLock::new(),
            is_given_up: AtomicBool::new(false),
        }
    }
}

impl IoState {
    /// A request goes out on an HTTP/1 connection: the head of its response has to come within some bytes.
    pub(in crate::serve::forward) fn expect_response(&self) {
        let limit = self.bytes() + MAX_BYTES_BEFORE_RESPONSE;
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The head of the response is there. What follows it comes as fast as its reader reads.
    pub(in crate::serve::forward) fn response_arrived(&self) {
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

    /// Whether the backend sent too much that is no response.
    pub(in crate::serve::forward) fn is_flood(&self) -> bool {
        self.bytes() > self.limit.load(Ordering::Relaxed)
    }

    /// A head or a piece of a body goes on.
    pub(in crate::serve::forward) fn progressed(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
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
    fn end_of_tls(&self, tls: &Tls, failed: io::Error) -> io::Result<()> {
        // Many backends close TLS without a word. HTTP has its own lengths, so an end between records is one, and one
        // inside is a cut.
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
        // Only the first read is looked at, as TLS has to begin with it; two bytes never come apart in practice, and
        // then nothing is said.
        if let (0, [first, second, ..]) = (before, new) {
            self.first.store(
                u64::from(*first) << 8 | u64::from(*second),
                Ordering::Relaxed,
            );
        }
    }
}

impl Io {
    pub(in crate::serve::forward) fn new(stream: BackendStream) -> Self {
        Self {
            stream: stream.take(0),
            state: Arc::default(),
            http2: None,
        }
    }

    /// The same for HTTP/2: frames are counted, and other tasks have their turn in between.
    pub(in crate::serve::forward) fn speaking_http2(self) -> Self {
        Self {
            http2: Some(Http2FloodGuard::default()),
            ..self
        }
    }

    pub(in crate::serve::forward) fn state(&self) -> Arc<IoState> {
        Arc::clone(&self.state)
    }

    /// What a write does that would have to wait: hyper sends all that it still holds before it closes a connection,
    /// which would keep the rest of an upload for as long as the backend does not read. So what does not go at once is
    /// thrown away, in the kernel too.
    fn unless_given_up<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        // A write that went through is not taken back: only one that would wait is.
        if polled.is_ready() || !self.state.is_given_up.load(Ordering::Relaxed) {
            return polled;
        }
        // Lingering for zero seconds lets the kernel drop its part too, else up to 128 KiB would stay there until its
        // own timeout.
        let reset = self.stream.get_ref().reset_on_drop();
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
        if this
            .http2
            .as_mut()
            .is_some_and(Http2FloodGuard::has_to_pause)
        {
            // Woken at once, so that it is only a turn: the bytes are there already, and nothing else would wake this
            // task.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let one_read = this.state.one_read.load(Ordering::Relaxed);
        // Set before each read, as a body may become a long one between two.
        this.stream.set_limit(one_read as u64);
        let mut polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        // Asked after the error has come: rustls reports an end without `close_notify` as one, and only here is it
        // known where it fell.
        if let (Poll::Ready(Err(_)), BackendStream::Tls(tls)) = (&polled, this.stream.get_ref()) {
            polled =
                polled.map(|failed| failed.or_else(|failed| this.state.end_of_tls(tls, failed)));
        }
        let new = &buffer.filled()[before..];
        // Counted even when the read failed, as a retry asks whether anything at all came.
        this.state.add(new);
        if let Some(http2) = &mut this.http2 {
            if polled.is_pending() {
                // Nothing more is there, so the task gives way by itself, and its turn begins anew.
                http2.paused();
            } else if http2.is_flood(new, this.state.progress()) {
                // Remembered in the state and not returned here alone, so that whoever waits for a response learns why
                // it ended.
                this.state.forbid_more();
            }
        }
        // Last, so that the bytes that broke the bound are in the count that is compared.
        if this.state.is_flood() {
            return Poll::Ready(Err(io::Error::other("too much came before a response")));
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
        let polled = Pin::new(self.stream.get_mut()).poll_write(context, bytes);
        self.unless_given_up(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(self.stream.get_mut());
        let polled = match slices {
            // Most requests are one slice, which the kernel takes faster as what it is.
            [only] => stream.poll_write(context, only),
            _ => stream.poll_write_vectored(context, slices),
        };
        self.unless_given_up(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(self.stream.get_mut()).poll_flush(context);
        self.unless_given_up(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(self.stream.get_mut()).poll_shutdown(context);
        self.unless_given_up(polled)
    }
}

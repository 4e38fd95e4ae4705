//! Content encodings: undone for a rewriter, and done again behind it.
//!
//! In: the value of `Content-Encoding`, then the backend's body. Out: decoded bytes in pieces of a bounded size,
//! however much they unfold, and on the other side bytes in the same encoding. Encodings that aren't known, and several
//! over one another, give nothing, and the response stays as it is.
//!
//! Re-encoded at the fastest level, as the bytes go once over a wire. `deflate` is zlib's format by RFC 9110 section
//! 8.4.1, but some servers send the bare one, so its first two bytes decide. A stream that ends early is an error.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_compression::Level;
use async_compression::tokio::{bufread, write};
use async_compression::zstd::DParameter;
use http::header::{CONTENT_ENCODING, HeaderMap};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::source::{BodySource, Ended};
use super::window::{self, Window};

/// An encoding that can be undone and done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Encoding {
    /// What a body is encoded in; `None`: it can't be undone.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let Some(value) = values.next() else {
            return Some(Self::Identity);
        };
        // Two lines are two encodings over one another.
        if values.next().is_some() {
            return None;
        }
        match value.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The format that a body is really in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Plain,
    Gzip,
    Zlib,
    BareDeflate,
    Brotli,
    Zstd,
}

/// What a body's first bytes say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// The format, and how far back its decoder has to look.
    Is(Format, usize),
    /// No decoder of the web has to keep so much.
    TooLarge,
    /// More bytes are needed.
    Unclear,
}

impl Begin {
    /// Tells by the encoding and a body's first bytes, which are all of it if it has `ended`. A body without bytes is
    /// in no format.
    pub(super) fn of(encoding: Encoding, begin: &[u8], ended: Ended) -> Self {
        const DEFLATE: usize = 32 * 1024;
        let window = match encoding {
            // An empty body is no stream of any encoding, and some servers send one all the same.
            _ if begin.is_empty() && ended == Ended::Yes => return Self::Is(Format::Plain, 0),
            Encoding::Identity => return Self::Is(Format::Plain, 0),
            _ if begin.is_empty() => return Self::Unclear,
            Encoding::Gzip => return Self::Is(Format::Gzip, DEFLATE),
            Encoding::Deflate if begin.len() < 2 && ended == Ended::No => Window::Unclear,
            Encoding::Deflate if is_zlib(begin) => return Self::Is(Format::Zlib, DEFLATE),
            Encoding::Deflate => return Self::Is(Format::BareDeflate, DEFLATE),
            Encoding::Brotli => window::of_brotli(begin),
            Encoding::Zstd => window::of_zstd(begin),
        };
        let format = match encoding {
            Encoding::Brotli => Format::Brotli,
            Encoding::Zstd => Format::Zstd,
            Encoding::Identity | Encoding::Gzip | Encoding::Deflate => Format::Plain,
        };
        match (window, ended) {
            (Window::Bytes(window), _) => Self::Is(format, window),
            (Window::TooLarge, _) => Self::TooLarge,
            (Window::Unclear, Ended::No) => Self::Unclear,
            (Window::Unclear, Ended::Yes) => Self::Is(format, 0),
        }
    }
}

/// RFC 1950 section 2.2.
fn is_zlib(begin: &[u8]) -> bool {
    let [method, flags, ..] = begin else {
        return false;
    };
    method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31)
}

/// Gives the decoded bytes of a source.
#[derive(Debug)]
pub(super) enum Decoder {
    Plain(BodySource),
    Gzip(bufread::GzipDecoder<BodySource>),
    Zlib(bufread::ZlibDecoder<BodySource>),
    BareDeflate(bufread::DeflateDecoder<BodySource>),
    Brotli(Box<bufread::BrotliDecoder<BodySource>>),
    Zstd(bufread::ZstdDecoder<BodySource>),
}

impl Decoder {
    pub(super) fn new(format: Format, source: BodySource) -> Self {
        match format {
            Format::Plain => Self::Plain(source),
            Format::Gzip => {
                let mut decoder = bufread::GzipDecoder::new(source);
                // RFC 1952 section 2.2: several members one after another are one stream.
                decoder.multiple_members(true);
                Self::Gzip(decoder)
            }
            Format::Zlib => Self::Zlib(bufread::ZlibDecoder::new(source)),
            Format::BareDeflate => Self::BareDeflate(bufread::DeflateDecoder::new(source)),
            Format::Brotli => Self::Brotli(Box::new(bufread::BrotliDecoder::new(source))),
            Format::Zstd => {
                // zstd itself would take windows of 128 MiB (RFC 9659 has 8 for the web).
                let largest = DParameter::window_log_max(window::ZSTD_LOG);
                let mut decoder = bufread::ZstdDecoder::with_params(source, &[largest]);
                decoder.multiple_members(true);
                Self::Zstd(decoder)
            }
        }
    }

    pub(super) fn source(&mut self) -> &mut BodySource {
        match self {
            Self::Plain(source) => source,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::BareDeflate(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        }
    }

    /// Fills a piece, at most its whole length; nothing at the end.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        piece: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(source) => Pin::new(source).poll_read(context, piece),
            Self::Gzip(decoder) => Pin::new(decoder).poll_read(context, piece),
            Self::Zlib(decoder) => Pin::new(decoder).poll_read(context, piece),
            Self::BareDeflate(decoder) => Pin::new(decoder).poll_read(context, piece),
            Self::Brotli(decoder) => Pin::new(decoder.as_mut()).poll_read(context, piece),
            Self::Zstd(decoder) => Pin::new(decoder).poll_read(context, piece),
        }
    }
}

/// Encodes into memory, from where it is taken.
#[derive(Debug)]
pub(super) enum Encoder {
    Plain(Vec<u8>),
    Gzip(write::GzipEncoder<Vec<u8>>),
    Zlib(write::ZlibEncoder<Vec<u8>>),
    BareDeflate(write::DeflateEncoder<Vec<u8>>),
    Brotli(Box<write::BrotliEncoder<Vec<u8>>>),
    Zstd(write::ZstdEncoder<Vec<u8>>),
}

type InMemory<'e> = dyn AsyncWrite + Unpin + 'e;

/// Vectors take all that they get, at once.
const NEVER_WAITS: &str = "memory does not wait";

impl Encoder {
    pub(super) fn new(format: Format) -> Self {
        let (level, out) = (Level::Fastest, Vec::new());
        match format {
            Format::Plain => Self::Plain(out),
            Format::Gzip => Self::Gzip(write::GzipEncoder::with_quality(out, level)),
            Format::Zlib => Self::Zlib(write::ZlibEncoder::with_quality(out, level)),
            Format::BareDeflate => {
                Self::BareDeflate(write::DeflateEncoder::with_quality(out, level))
            }
            Format::Brotli => {
                Self::Brotli(Box::new(write::BrotliEncoder::with_quality(out, level)))
            }
            Format::Zstd => Self::Zstd(write::ZstdEncoder::with_quality(out, level)),
        }
    }

    /// Takes bytes in. What comes of them may stay within until [`Self::flush`].
    pub(super) fn write(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        // The buffer itself changes hands, as most pages are not encoded.
        if let Self::Plain(out) = self {
            if out.is_empty() {
                std::mem::swap(out, bytes);
            } else {
                out.append(bytes);
            }
            return Ok(());
        }
        let mut left = bytes.as_slice();
        while !left.is_empty() {
            let written = self.now(|encoder, context| encoder.poll_write(context, left))?;
            left = &left[written..];
        }
        bytes.clear();
        Ok(())
    }

    /// Gives out all that was written.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.now(|encoder, context| encoder.poll_flush(context))
    }

    /// Gives out the end of the stream.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.now(|encoder, context| encoder.poll_shutdown(context))
    }

    /// What was given out.
    pub(super) fn ready(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Plain(out) => out,
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zlib(encoder) => encoder.get_mut(),
            Self::BareDeflate(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        }
    }

    fn now<T>(
        &mut self,
        act: impl FnOnce(Pin<&mut InMemory<'_>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        let encoder: &mut InMemory<'_> = match self {
            Self::Plain(out) => out,
            Self::Gzip(encoder) => encoder,
            Self::Zlib(encoder) => encoder,
            Self::BareDeflate(encoder) => encoder,
            Self::Brotli(encoder) => encoder.as_mut(),
            Self::Zstd(encoder) => encoder,
        };
        match act(
            Pin::new(encoder),
            // Nobody needs to be woken: memory is always ready.
            &mut Context::from_waker(std::task::Waker::noop()),
        ) {
            Poll::Ready(done) => done,
            Poll::Pending => Err(io::Error::other(NEVER_WAITS)),
        }
    }
}

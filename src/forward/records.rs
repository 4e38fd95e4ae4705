//! Follows the TLS records that a backend sends, to tell an end between two records from a cut inside one.
//!
//! Many backends close without `close_notify`. Between two records that is taken as an end, as Go and browsers do; HTTP then
//! says itself whether a length or a chunk is missing. Inside a record it is a cut.
//!
//! RFC 8446 sections 5.1 and 6.1; Go: `Conn.readRecordOrCCS` in `crypto/tls/conn.go`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Type, version, and two bytes of length.
const HEADER_BYTES: usize = 5;

/// A transport below TLS that knows where records end.
#[derive(Debug)]
pub(super) struct Records<S> {
    transport: S,
    position: Position,
}

/// Where in a record the bytes so far end.
#[derive(Debug, Default)]
struct Position {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    payload_left: usize,
}

impl<S> Records<S> {
    pub(super) fn new(transport: S) -> Self {
        Self {
            transport,
            position: Position::default(),
        }
    }

    /// Whether what was read so far ends with a whole record.
    pub(super) fn at_record_end(&self) -> bool {
        self.position.header_bytes == 0 && self.position.payload_left == 0
    }
}

impl Position {
    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let skipped = self.payload_left.min(bytes.len());
                self.payload_left -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (HEADER_BYTES - self.header_bytes).min(bytes.len());
            self.header[self.header_bytes..self.header_bytes + taken]
                .copy_from_slice(&bytes[..taken]);
            self.header_bytes += taken;
            bytes = &bytes[taken..];
            if self.header_bytes == HEADER_BYTES {
                self.payload_left =
                    usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
                self.header_bytes = 0;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Records<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.transport).poll_read(context, buffer);
        self.position.pass(&buffer.filled()[before..]);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Records<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_records_are_an_end_however_they_arrive() {
        let mut stream = vec![0x17, 3, 3, 0, 4, 1, 2, 3, 4];
        stream.extend([0x17, 3, 3, 1, 0]);
        stream.extend([9; 256]);
        stream.extend([0x15, 3, 3, 0, 0]);
        for piece in 1..=stream.len() {
            let mut records = Records::new(());
            let mut passed = 0;
            for bytes in stream.chunks(piece) {
                records.position.pass(bytes);
                passed += bytes.len();
                let is_end = [9, 270, 275].contains(&passed);
                assert_eq!(
                    records.at_record_end(),
                    is_end,
                    "{passed} in pieces of {piece}"
                );
            }
        }
    }
}

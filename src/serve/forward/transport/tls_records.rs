//! Follows the TLS records that a backend sends, to tell an end between two records from a cut inside one.
//!
//! Many backends close without `close_notify`. Between two records that is taken as an end, as Go and browsers do; HTTP
//! then says itself whether a length or a chunk is missing. Inside a record it is a cut.
//!
//! RFC 8446 sections 5.1 and 6.1; Go: `Conn.readRecordOrCCS` in `crypto/tls/conn.go`.

use std::io;

use crate::observed::{Observed, Observer};

/// Type, version, and two bytes of length.
const HEADER_BYTES: usize = 5;

/// A transport below TLS that knows where records end.
pub(in crate::serve::forward) type Records<S> = Observed<S, Position>;

/// Where in a record the bytes so far end.
#[derive(Debug, Default)]
pub(in crate::serve::forward) struct Position {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    payload_left: usize,
}

impl Position {
    /// Whether what was read so far ends with a whole record.
    pub(in crate::serve::forward) fn is_record_end(&self) -> bool {
        self.header_bytes == 0 && self.payload_left == 0
    }

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

impl Observer for Position {
    fn observe(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pass(bytes);
        Ok(())
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
            let mut position = Position::default();
            let mut passed = 0;
            for bytes in stream.chunks(piece) {
                position.pass(bytes);
                passed += bytes.len();
                let is_end = [9, 270, 275].contains(&passed);
                assert_eq!(
                    position.is_record_end(),
                    is_end,
                    "{passed} in pieces of {piece}"
                );
            }
        }
    }
}

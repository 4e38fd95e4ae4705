//! What comes on an HTTP/2 connection to a backend, and whether anything goes on of it.
//!
//! In: the bytes as they are read, in any pieces. Out: whether there are too many that are part of no response. A
//! backend may send frames that no flow control bounds (PING, SETTINGS, HEADERS of informational responses), and h2
//! takes them without end. So they are counted here, since the last time that a head or a piece of a body went on. RFC
//! 9113 sections 4.1, 10.5.

/// Bytes that may come on an HTTP/2 connection while nothing goes on of any of its streams. Callers that do not read
/// leave windows of 6.3 MiB full.
const MAX_BYTES_WITHOUT_PROGRESS: u64 = 16 << 20;

/// Frames other than DATA in that time. A PING in ten seconds, from a backend that nobody asks anything, is a day.
const MAX_FRAMES_WITHOUT_PROGRESS: u64 = 10_000;

/// Bytes that are read before other tasks have their turn. An informational response has ten bytes on the wire, and
/// some 250 in h2 until the task of its request looks.
const TURN_BYTES: usize = 64 << 10;

/// Three bytes of length, type, flags, four bytes of a stream's number.
const HEADER_BYTES: usize = 9;

const DATA: u8 = 0;

/// Follows one connection.
#[derive(Debug, Default)]
pub(in crate::serve::forward) struct Http2FloodGuard {
    frames: ControlFrames,
    /// Bytes since other tasks had their turn.
    turn: usize,
    /// What had gone on when the rest was last counted from zero.
    passed: u64,
    bytes_since: u64,
    frames_since: u64,
}

impl Http2FloodGuard {
    /// Whether it is the turn of other tasks; if so, the next turn begins.
    pub(in crate::serve::forward) fn has_to_pause(&mut self) -> bool {
        let is_over = self.turn >= TURN_BYTES;
        if is_over {
            self.turn = 0;
        }
        is_over
    }

    /// Nothing is there to be read, so other tasks have their turn.
    pub(in crate::serve::forward) fn paused(&mut self) {
        self.turn = 0;
    }

    /// Takes note of what was read; `passed` is how much went on so far. Whether too much came since anything did.
    pub(in crate::serve::forward) fn is_flood(&mut self, new: &[u8], passed: u64) -> bool {
        self.turn += new.len();
        // Progress on any stream is enough: with many streams one can't be told from another below h2.
        if passed != self.passed {
            (self.passed, self.bytes_since, self.frames_since) = (passed, 0, 0);
        }
        self.bytes_since += new.len() as u64;
        // DATA is bounded by flow control already, and only its bytes count; other frames are bounded by nothing but
        // this.
        self.frames_since += self.frames.pass(new);
        self.bytes_since > MAX_BYTES_WITHOUT_PROGRESS
            || self.frames_since > MAX_FRAMES_WITHOUT_PROGRESS
    }
}

/// Counts the frames that are no DATA.
#[derive(Debug, Default)]
struct ControlFrames {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    payload_left: usize,
}

impl ControlFrames {
    /// Takes note of bytes that pass; how many frames other than DATA have their header's end in them.
    fn pass(&mut self, mut bytes: &[u8]) -> u64 {
        let mut found = 0;
        while !bytes.is_empty() {
            // A frame may be larger than a read, so its payload is skipped in parts and never kept.
            let skipped = self.payload_left.min(bytes.len());
            self.payload_left -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEADER_BYTES - self.header_bytes).min(bytes.len());
            self.header[self.header_bytes..self.header_bytes + taken]
                .copy_from_slice(&bytes[..taken]);
            self.header_bytes += taken;
            bytes = &bytes[taken..];
            if self.header_bytes == HEADER_BYTES {
                let [high, middle, low, kind, ..] = self.header;
                // RFC 9113 section 4.1: 24 bits of length, which does not count the nine bytes of the header.
                self.payload_left = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.header_bytes = 0;
                found += u64::from(kind != DATA);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_however_they_arrive() {
        let mut stream = b"\0\0\x08\x06\0\0\0\0\0pingpong".to_vec();
        stream.extend(b"\0\x01\0\0\0\0\0\0\x01");
        stream.extend([6; 256]);
        stream.extend(b"\0\0\0\x04\x01\0\0\0\0");
        stream.extend(b"\0\0\0\0\x01\0\0\0\x01");
        stream.extend(b"\0\0\x01\x01\x04\0\0\0\x01\xbe");
        for piece in 1..=stream.len() {
            let mut frames = ControlFrames::default();
            let found: u64 = stream.chunks(piece).map(|bytes| frames.pass(bytes)).sum();
            assert_eq!(found, 3, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_connection_on_which_something_goes_on_takes_any_number() {
        let mut reading = Http2FloodGuard::default();
        let pings = b"\0\0\x08\x06\0\0\0\0\0pingpong".repeat(1000);
        for passed in 0..100 {
            assert!(!reading.is_flood(&pings, passed));
        }
        let rounds = (0..100).take_while(|_| !reading.is_flood(&pings, 99));
        assert_eq!(rounds.count(), 9, "and then ten thousand in all");
    }

    #[test]
    fn frames_of_data_without_end_are_a_flood_by_their_bytes() {
        let mut reading = Http2FloodGuard::default();
        let data = [&b"\0\x40\0\0\0\0\0\0\x01"[..], &[b'x'; 16 << 10]].concat();
        let taken = (0..10_000).take_while(|_| !reading.is_flood(&data, 0));
        assert_eq!(taken.count() * data.len() / (1 << 20), 15, "MiB");
    }

    #[test]
    fn others_have_their_turn_after_64_kib_and_after_each_pause() {
        let mut reading = Http2FloodGuard::default();
        for _ in 0..3 {
            reading.is_flood(&[0; (64 << 10) - 1], 0);
            assert!(!reading.has_to_pause());
            reading.is_flood(&[0; 1], 0);
            assert!(reading.has_to_pause() && !reading.has_to_pause());
        }
        reading.is_flood(&[0; (64 << 10) - 1], 0);
        reading.paused();
        reading.is_flood(&[0; 1], 0);
        assert!(!reading.has_to_pause(), "there was a pause already");
    }

    #[test]
    fn callers_that_do_not_read_leave_room_for_what_their_windows_hold() {
        let mut reading = Http2FloodGuard::default();
        let data = [&b"\0\x40\0\0\0\0\0\0\x01"[..], &[b'x'; 16 << 10]].concat();
        for _ in 0..512 {
            assert!(!reading.is_flood(&data, 0));
        }
    }
}

//! Where one WebSocket frame ends and the next begins: only there can a close frame be put in.
//!
//! Nothing is read but the frames' headers (RFC 6455 section 5.2); payloads are counted and pass.

/// A close frame of a server with the status code 1001, "going away".
pub(super) const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];

/// A close frame of a server with the status code 1008, "policy violation".
pub(super) const NOT_PERMITTED: [u8; 4] = [0x88, 0x02, 0x03, 0xf0];

/// The longest header: two bytes, eight of length, four of mask.
const LONGEST_HEADER: usize = 14;

/// Follows a stream of frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; LONGEST_HEADER],
    header_bytes: usize,
    payload_left: u64,
}

impl Frames {
    /// Whether the bytes so far end with a whole frame.
    pub(super) fn at_boundary(&self) -> bool {
        self.header_bytes == 0 && self.payload_left == 0
    }

    /// Takes note of bytes that pass.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            // A payload may be as long as 2^63, so it is counted down and never kept.
            if self.payload_left > 0 {
                let skipped = usize::try_from(self.payload_left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                self.payload_left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header[self.header_bytes] = *first;
            self.header_bytes += 1;
            bytes = rest;
            // The length of the header is known only after its second byte, so it is asked anew with each byte.
            if self.header_bytes == self.header_length() {
                self.payload_left = self.payload_length();
                self.header_bytes = 0;
            }
        }
    }

    fn header_length(&self) -> usize {
        if self.header_bytes < 2 {
            return 2;
        }
        // Servers send without a mask, but a broken one must not make everything after it be misread.
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        let length = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + mask
    }

    fn payload_length(&self) -> u64 {
        let extended = |bytes: usize| {
            self.header[2..2 + bytes]
                .iter()
                .fold(0, |length, byte| length << 8 | u64::from(*byte))
        };
        match self.header[1] & 0x7f {
            126 => extended(2),
            127 => extended(8),
            short => u64::from(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x82];
        match length {
            0..126 => bytes.push(mask | u8::try_from(length).unwrap()),
            126..65536 => {
                bytes.push(mask | 126);
                bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        bytes.extend(std::iter::repeat_n(
            0x55,
            length + if masked { 4 } else { 0 },
        ));
        bytes
    }

    proptest! {
        #[test]
        fn a_boundary_is_seen_exactly_after_whole_frames(
            lengths in prop::collection::vec((prop_oneof![0usize..200, 65530usize..65540], any::<bool>()), 1..4),
            cut in 1usize..5000,
        ) {
            let frames: Vec<Vec<u8>> = lengths.iter().map(|(length, masked)| frame(*length, *masked)).collect();
            let ends: Vec<usize> = frames.iter().scan(0, |end, frame| { *end += frame.len(); Some(*end) }).collect();
            let stream: Vec<u8> = frames.concat();
            let mut follow = Frames::default();
            let mut passed = 0;
            for part in stream.chunks(cut) {
                follow.pass(part);
                passed += part.len();
                prop_assert_eq!(follow.at_boundary(), ends.contains(&passed));
            }
        }
    }
}

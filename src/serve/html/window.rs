//! The window of a compressed body: how far back its bytes may refer, which a decoder has to keep.
//!
//! In: a body's first bytes. Out: the window's size in bytes, or that it takes more bytes to tell, or that it is larger
//! than the coding allows on the web. Brotli's large windows are an extension that no browser has; zstd's format goes
//! up to terabytes, and RFC 9659 bounds the content coding to 8 MiB.
//!
//! RFC 7932 section 9.1 (brotli), RFC 8878 section 3.1.1.1 (zstd), RFC 9659.

/// The largest window of a zstd body, as a power of two.
pub(super) const ZSTD_LOG: u32 = 23;

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    Bytes(usize),
    TooLarge,
    /// More bytes are needed, if there are any.
    Unclear,
}

/// Brotli says its window in the first seven bits at most.
pub(super) fn of_brotli(begin: &[u8]) -> Window {
    let Some(first) = begin.first() else {
        return Window::Unclear;
    };
    let log = match (first & 1, first >> 1 & 7, first >> 4 & 7) {
        (0, _, _) => 16,
        (_, 0, 0) => 17,
        // This pattern is the large-window extension, of which the format itself knows nothing.
        (_, 0, 1) => return Window::TooLarge,
        (_, 0, short) => 8 + short,
        (_, long, _) => 17 + long,
    };
    Window::Bytes(1 << log)
}

/// Zstd says it in the header of its first frame. What is no such frame is the decoder's to refuse.
pub(super) fn of_zstd(begin: &[u8]) -> Window {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let known = begin.len().min(MAGIC.len());
    // A skippable frame or no zstd at all; the decoder's own bound still holds for what follows.
    if begin[..known] != MAGIC[..known] {
        return Window::Bytes(0);
    }
    let Some((descriptor, rest)) = begin.get(MAGIC.len()..).and_then(<[u8]>::split_first) else {
        return Window::Unclear;
    };
    let is_single_segment = descriptor & 0x20 != 0;
    let size = match is_single_segment {
        false => rest.first().map(|window| described(*window)),
        // A frame of a single segment has no byte for the window: its content is the window.
        true => content_size(*descriptor, rest),
    };
    match size {
        None => Window::Unclear,
        Some(size) if size > 1 << ZSTD_LOG => Window::TooLarge,
        Some(size) => Window::Bytes(usize::try_from(size).unwrap_or(usize::MAX)),
    }
}

/// RFC 8878 section 3.1.1.1.2.
fn described(window: u8) -> u64 {
    let base = 1_u64 << (10 + (window >> 3));
    base + base / 8 * u64::from(window & 7)
}

/// The size of a frame of a single segment, which is its window (RFC 8878 section 3.1.1.1.4).
fn content_size(descriptor: u8, rest: &[u8]) -> Option<u64> {
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let length = 1 << (descriptor >> 6);
    let field = rest.get(dictionary..dictionary + length)?;
    let mut bytes = [0; 8];
    bytes[..length].copy_from_slice(field);
    let size = u64::from_le_bytes(bytes);
    // Two bytes begin at 256, as smaller sizes have a field of one byte.
    Some(if length == 2 { size + 256 } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brotli_windows_are_those_of_rfc_7932() {
        for (first, log) in [
            (0b0, 16),
            (0b000_0001, 17),
            (0b011, 18),
            (0b1111, 24),
            (0b010_0001, 10),
            (0b111_0001, 15),
        ] {
            assert_eq!(of_brotli(&[first]), Window::Bytes(1 << log), "{first:b}");
        }
        for large in [0b001_0001, 0b1001_0001] {
            assert_eq!(of_brotli(&[large, 0x16]), Window::TooLarge);
        }
        assert_eq!(of_brotli(&[]), Window::Unclear);
    }

    #[test]
    fn zstd_windows_are_those_of_rfc_8878() {
        let frame = |header: &[u8]| of_zstd(&[&[0x28, 0xb5, 0x2f, 0xfd], header].concat());
        for (header, expected) in [
            (&[][..], Window::Unclear),
            (&[0x00], Window::Unclear),
            (&[0x00, 0x00], Window::Bytes(1024)),
            (&[0x00, 13 << 3], Window::Bytes(8 * 1024 * 1024)),
            (&[0x00, 13 << 3 | 1], Window::TooLarge),
            (&[0x00, 0xff], Window::TooLarge),
            (&[0x20], Window::Unclear),
            (&[0x20, 200], Window::Bytes(200)),
            (&[0x61, 0, 1], Window::Unclear),
            (&[0x61, 0, 1, 1], Window::Bytes(257 + 256)),
            (&[0xa0, 0, 0, 0x80, 0], Window::Bytes(8 * 1024 * 1024)),
            (&[0xa0, 1, 0, 0x80, 0], Window::TooLarge),
            (&[0xe0, 0, 0, 0, 0, 1, 0, 0, 0], Window::TooLarge),
        ] {
            assert_eq!(frame(header), expected, "{header:x?}");
        }
        assert_eq!(of_zstd(b"<html>"), Window::Bytes(0));
        assert_eq!(of_zstd(&[0x28, 0xb5]), Window::Unclear);
    }
}

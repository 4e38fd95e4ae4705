//! The type of a file that its name does not tell, from its first bytes.
//!
//! The MIME Sniffing standard as far as Go's `http.DetectContentType` has it: the same signatures in the same order, so
//! that a file has the type that kubectl proxy gives it. <https://mimesniff.spec.whatwg.org/>

/// How many bytes are looked at.
pub(super) const LENGTH: usize = 512;

const HTML: &str = "text/html; charset=utf-8";
const XML: &str = "text/xml; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const UNKNOWN: &str = "application/octet-stream";

/// Tags that begin an HTML document, in upper case.
const TAGS: &[&[u8]] = &[
    b"<!DOCTYPE HTML",
    b"<HTML",
    b"<HEAD",
    b"<SCRIPT",
    b"<IFRAME",
    b"<H1",
    b"<DIV",
    b"<FONT",
    b"<TABLE",
    b"<A",
    b"<STYLE",
    b"<TITLE",
    b"<B",
    b"<BODY",
    b"<BR",
    b"<P",
    b"<!--",
];

/// What documents and text begin with.
const DOCUMENTS: &[(&[SignaturePart], &str)] = &[
    (&[SignaturePart(0, b"%PDF-")], "application/pdf"),
    (
        &[SignaturePart(0, b"%!PS-Adobe-")],
        "application/postscript",
    ),
    (
        &[SignaturePart(0, b"\xFE\xFF"), LONGER_THAN_3],
        "text/plain; charset=utf-16be",
    ),
    (
        &[SignaturePart(0, b"\xFF\xFE"), LONGER_THAN_3],
        "text/plain; charset=utf-16le",
    ),
    (&[SignaturePart(0, b"\xEF\xBB\xBF"), LONGER_THAN_3], TEXT),
];

/// Images, sound and films before MP4.
const MEDIA: &[(&[SignaturePart], &str)] = &[
    (&[SignaturePart(0, b"\x00\x00\x01\x00")], "image/x-icon"),
    (&[SignaturePart(0, b"\x00\x00\x02\x00")], "image/x-icon"),
    (&[SignaturePart(0, b"BM")], "image/bmp"),
    (&[SignaturePart(0, b"GIF87a")], "image/gif"),
    (&[SignaturePart(0, b"GIF89a")], "image/gif"),
    (
        &[SignaturePart(0, b"RIFF"), SignaturePart(8, b"WEBPVP")],
        "image/webp",
    ),
    (&[SignaturePart(0, b"\x89PNG\r\n\x1A\n")], "image/png"),
    (&[SignaturePart(0, b"\xFF\xD8\xFF")], "image/jpeg"),
    (
        &[SignaturePart(0, b"FORM"), SignaturePart(8, b"AIFF")],
        "audio/aiff",
    ),
    (&[SignaturePart(0, b"ID3")], "audio/mpeg"),
    (&[SignaturePart(0, b"OggS\x00")], "application/ogg"),
    (&[SignaturePart(0, b"MThd\x00\x00\x00\x06")], "audio/midi"),
    (
        &[SignaturePart(0, b"RIFF"), SignaturePart(8, b"AVI ")],
        "video/avi",
    ),
    (
        &[SignaturePart(0, b"RIFF"), SignaturePart(8, b"WAVE")],
        "audio/wave",
    ),
];

/// Films after MP4, fonts, archives and programs.
const OTHERS: &[(&[SignaturePart], &str)] = &[
    (&[SignaturePart(0, b"\x1A\x45\xDF\xA3")], "video/webm"),
    (&[SignaturePart(34, b"LP")], "application/vnd.ms-fontobject"),
    (&[SignaturePart(0, b"\x00\x01\x00\x00")], "font/ttf"),
    (&[SignaturePart(0, b"OTTO")], "font/otf"),
    (&[SignaturePart(0, b"ttcf")], "font/collection"),
    (&[SignaturePart(0, b"wOFF")], "font/woff"),
    (&[SignaturePart(0, b"wOF2")], "font/woff2"),
    (&[SignaturePart(0, b"\x1F\x8B\x08")], "application/x-gzip"),
    (&[SignaturePart(0, b"PK\x03\x04")], "application/zip"),
    (
        &[SignaturePart(0, b"Rar!\x1A\x07\x00")],
        "application/x-rar-compressed",
    ),
    (
        &[SignaturePart(0, b"Rar!\x1A\x07\x01\x00")],
        "application/x-rar-compressed",
    ),
    (&[SignaturePart(0, b"\x00asm")], "application/wasm"),
];

/// Bytes at a place.
struct SignaturePart(usize, &'static [u8]);

/// The signatures of byte order marks are four bytes long.
const LONGER_THAN_3: SignaturePart = SignaturePart(4, b"");

/// The type of content that begins with these bytes.
pub(super) fn content_type(beginning: &[u8]) -> &'static str {
    // The standard looks at no more, and a file may be of any size.
    let beginning = &beginning[..beginning.len().min(LENGTH)];
    // White space before markup does not count, and counts before everything else.
    let text = beginning.trim_ascii_start();
    if TAGS.iter().any(|tag| begins_with_tag(text, tag)) {
        return HTML;
    }
    if text.starts_with(b"<?xml") {
        return XML;
    }
    if let Some(found) = find(DOCUMENTS, beginning).or_else(|| find(MEDIA, beginning)) {
        return found;
    }
    if is_mp4(beginning) {
        return "video/mp4";
    }
    if let Some(found) = find(OTHERS, beginning) {
        return found;
    }
    // No signature fits: what has no byte of a program is text.
    if text.iter().any(|byte| is_binary(*byte)) {
        UNKNOWN
    } else {
        TEXT
    }
}

fn find(signatures: &[(&[SignaturePart], &'static str)], beginning: &[u8]) -> Option<&'static str> {
    let found = signatures.iter().find(|(parts, _)| {
        parts.iter().all(|SignaturePart(at, bytes)| {
            beginning
                .get(*at..)
                .is_some_and(|rest| rest.starts_with(bytes))
        })
    });
    found.map(|(_, content_type)| *content_type)
}

/// Whether a tag stands there in any case, with a space or its end behind it.
fn begins_with_tag(text: &[u8], tag: &[u8]) -> bool {
    let Some((found, rest)) = text.split_at_checked(tag.len()) else {
        return false;
    };
    found.eq_ignore_ascii_case(tag) && matches!(rest.first(), Some(b' ' | b'>'))
}

/// Section 6.2.1: the first box is an `ftyp` that names an `mp4` brand.
fn is_mp4(beginning: &[u8]) -> bool {
    if beginning.len() < 12 {
        return false;
    }
    let Some((size, rest)) = beginning.split_first_chunk::<4>() else {
        return false;
    };
    let size = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(usize::MAX);
    if beginning.len() < size || !size.is_multiple_of(4) || !rest.starts_with(b"ftyp") {
        return false;
    }
    // The four bytes at 12 are the version of the main brand.
    (8..size)
        .step_by(4)
        .filter(|at| *at != 12)
        .any(|at| beginning[at..].starts_with(b"mp4"))
}

fn is_binary(byte: u8) -> bool {
    matches!(byte, 0x00..=0x08 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_has_the_type_that_go_gives_it() {
        for (content, expected) in [
            (b"".as_slice(), TEXT),
            (b"  \n<!doctype html>", HTML),
            (b"<html", TEXT),
            (b"<html>", HTML),
            (b"<html\n>", TEXT),
            (b"<a href=x>", HTML),
            (b"<abbr>", TEXT),
            (b"<!-- -->", HTML),
            (b"<!--x", TEXT),
            (b" <?xml version", XML),
            (b"<?XML version", TEXT),
            (b"%PDF-1.7", "application/pdf"),
            (b" %PDF-1.7", TEXT),
            (b"\xFE\xFFab", "text/plain; charset=utf-16be"),
            (b"\xFE\xFFa", TEXT),
            (b"\xEF\xBB\xBFa", TEXT),
            (b"RIFF1234WEBPVP8 ", "image/webp"),
            (b"RIFF1234WAVE", "audio/wave"),
            (b"RIFF1234", TEXT),
            (b"\x00\x00\x00\x10ftypisom0000mp4 ", UNKNOWN),
            (b"\x00\x00\x00\x14ftypisom0000mp42", "video/mp4"),
            (b"\x00\x00\x00\x10ftypmp420000", "video/mp4"),
            (b"\x00\x00\x00\x10ftypxxxxmp42", UNKNOWN),
            (b"wOF2x", "font/woff2"),
            (b"\x00asm\x01", "application/wasm"),
            (b"\x1F\x8B\x08", "application/x-gzip"),
            (b"text \x1B[0m", TEXT),
            (b"text \x00", UNKNOWN),
            (b"caf\xE9", TEXT),
            (b"\x7FELF\x02", UNKNOWN),
        ] {
            assert_eq!(content_type(content), expected, "{content:?}");
        }
        let font = [[b'x'; 34].as_slice(), b"LP"].concat();
        assert_eq!(content_type(&font), "application/vnd.ms-fontobject");
    }

    #[test]
    fn nothing_behind_the_first_bytes_counts() {
        let mut content = vec![b'a'; LENGTH];
        content.push(0);
        assert_eq!(content_type(&content), TEXT);
    }
}

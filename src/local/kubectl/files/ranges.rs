//! `Range`: which parts of a file are asked for, and how several of them are written.
//!
//! As Go's `parseRange` and `multipart.Writer`; RFC 9110 section 14.

/// A part of a file, from its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RangePart {
    pub(super) start: u64,
    pub(super) length: u64,
}

/// Why there are no parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadRange {
    Malformed,
    /// Every part begins behind the end.
    NoOverlap,
}

impl RangePart {
    /// As `Content-Range`. Go writes `0--1` for a part of nothing.
    pub(super) fn content_range(self, size: u64) -> String {
        let last = i128::from(self.start) + i128::from(self.length) - 1;
        format!("bytes {}-{last}/{size}", self.start)
    }
}

/// A `Range` of more parts is not heeded: what stands before each of many small ones is many times as long as the file.
const MOST_PARTS: usize = 100;

/// The parts that a `Range` names, none if it is empty or names too many.
pub(super) fn parse(range: &str, size: u64) -> Result<Vec<RangePart>, BadRange> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let list = range.strip_prefix("bytes=").ok_or(BadRange::Malformed)?;
    let mut parts = Vec::new();
    let mut lies_behind = false;
    // Counted before any is read, so that a list of a million parts costs one walk.
    if list.split(',').nth(MOST_PARTS).is_some() {
        return Ok(parts);
    }
    for text in list.split(',').map(trim).filter(|text| !text.is_empty()) {
        match part(text, size)? {
            Some(part) => parts.push(part),
            None => lies_behind = true,
        }
    }
    if lies_behind && parts.is_empty() {
        return Err(BadRange::NoOverlap);
    }
    Ok(parts)
}

/// One part; none if it begins behind the end.
fn part(text: &str, size: u64) -> Result<Option<RangePart>, BadRange> {
    let (start, end) = text.split_once('-').ok_or(BadRange::Malformed)?;
    let (start, end) = (trim(start), trim(end));
    if start.is_empty() {
        // The last bytes: more than there are means all of them.
        let length = number(end)?.min(size);
        let start = size - length;
        return Ok(Some(RangePart { start, length }));
    }
    let start = number(start)?;
    // Behind the end is no error by itself; only if no part lies before it.
    if start >= size {
        return Ok(None);
    }
    if end.is_empty() {
        let length = size - start;
        return Ok(Some(RangePart { start, length }));
    }
    let end = number(end)?;
    if start > end {
        return Err(BadRange::Malformed);
    }
    let length = end.min(size - 1) - start + 1;
    Ok(Some(RangePart { start, length }))
}

fn number(text: &str) -> Result<u64, BadRange> {
    let number: i64 = text.parse().map_err(|_| BadRange::Malformed)?;
    u64::try_from(number).map_err(|_| BadRange::Malformed)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Several parts in one body, `multipart/byteranges`.
#[derive(Debug, Clone)]
pub(super) struct Multipart {
    boundary: String,
    content_type: String,
    size: u64,
    parts: Vec<RangePart>,
}

impl Multipart {
    pub(super) fn new(parts: Vec<RangePart>, content_type: &str, size: u64) -> Self {
        // Thirty random bytes, as Go has them, so that no file contains its own border.
        let boundary = std::iter::repeat_with(|| format!("{:02x}", fastrand::u8(..)))
            .take(30)
            .collect();
        Self {
            boundary,
            content_type: content_type.to_owned(),
            size,
            parts,
        }
    }

    pub(super) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// Each part with what is written before it.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (String, RangePart)> {
        self.parts.iter().enumerate().map(|(index, part)| {
            let line_end = if index == 0 { "" } else { "\r\n" };
            let head = format!(
                "{line_end}--{}\r\nContent-Range: {}\r\nContent-Type: {}\r\n\r\n",
                self.boundary,
                part.content_range(self.size),
                self.content_type
            );
            (head, *part)
        })
    }

    /// What is written behind the last part.
    pub(super) fn end(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }

    /// How long all of it is.
    pub(super) fn length(&self) -> u64 {
        let pieces = self
            .pieces()
            .map(|(head, part)| head.len() as u64 + part.length);
        pieces.sum::<u64>() + self.end().len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_parts_none_is_heeded() {
        let range = |parts: usize| format!("bytes={}", vec!["0-0"; parts].join(","));
        assert_eq!(parse(&range(MOST_PARTS), 10).unwrap().len(), MOST_PARTS);
        assert_eq!(parse(&range(MOST_PARTS + 1), 10), Ok(Vec::new()));
    }

    #[test]
    fn ranges_are_read_as_go_reads_them() {
        use BadRange::{Malformed, NoOverlap};
        for (range, expected) in [
            ("", Ok(vec![])),
            ("bytes=0-4", Ok(vec![(0, 5)])),
            ("bytes=2-", Ok(vec![(2, 8)])),
            ("bytes=-5", Ok(vec![(5, 5)])),
            ("bytes=3-7", Ok(vec![(3, 5)])),
            ("bytes=-20", Ok(vec![(0, 10)])),
            ("bytes=-0", Ok(vec![(10, 0)])),
            ("bytes=0-100", Ok(vec![(0, 10)])),
            ("bytes=0-0,-2, 5 - 6", Ok(vec![(0, 1), (8, 2), (5, 2)])),
            ("bytes=", Ok(vec![])),
            ("bytes= , ,", Ok(vec![])),
            ("bytes=20-", Err(NoOverlap)),
            ("bytes=20-,0-1", Ok(vec![(0, 2)])),
            ("bytes=+1-+2", Ok(vec![(1, 2)])),
            ("bytes=7", Err(Malformed)),
            ("bytes=-", Err(Malformed)),
            ("bytes=--5", Err(Malformed)),
            ("bytes=5--6", Err(Malformed)),
            ("bytes=5-4", Err(Malformed)),
            ("bytes=a-", Err(Malformed)),
            ("bytes=0-99999999999999999999", Err(Malformed)),
            ("Bytes=0-1", Err(Malformed)),
            ("lines=0-1", Err(Malformed)),
        ] {
            let found = parse(range, 10).map(|parts| {
                let pairs = parts.iter().map(|part| (part.start, part.length));
                pairs.collect::<Vec<_>>()
            });
            assert_eq!(found, expected, "{range}");
        }
    }

    #[test]
    fn several_parts_have_the_length_that_they_say() {
        let parts = vec![
            RangePart {
                start: 0,
                length: 1,
            },
            RangePart {
                start: 8,
                length: 2,
            },
        ];
        let multipart = Multipart::new(parts, "text/plain", 10);
        let mut body = String::new();
        for (head, part) in multipart.pieces() {
            body.push_str(&head);
            body.push_str(&"x".repeat(part.length as usize));
        }
        body.push_str(&multipart.end());
        assert_eq!(body.len() as u64, multipart.length());
        let boundary = multipart
            .content_type()
            .split_once('=')
            .unwrap()
            .1
            .to_owned();
        assert_eq!(boundary.len(), 60);
        assert_eq!(
            body.replace(&boundary, "B"),
            "--B\r\nContent-Range: bytes 0-0/10\r\nContent-Type: text/plain\r\n\r\nx\
             \r\n--B\r\nContent-Range: bytes 8-9/10\r\nContent-Type: text/plain\r\n\r\nxx\r\n--B--\r\n"
        );
    }
}

//! What the head of one request may have. In: headers as they were read. Out: whether they are within the limits, or a
//! 431.
//!
//! Twice these limits are read, so that a request above them is answered with a `Status` (`protocol.rs`).

use http::HeaderMap;

use super::PeerClass;
use crate::protocol::status::{Reason, Status};
use crate::serve::config::ConnectionLimits;

/// Bytes and lines of a stranger's request head.
const STRANGER_HEADER_BYTES: u32 = 64 << 10;
const STRANGER_HEADER_LINES: usize = 256;

/// What the head of one request may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadLimits {
    pub(super) bytes: u32,
    /// Lines besides those in which the front proxy names the user.
    pub(super) lines: usize,
}

impl HeadLimits {
    pub(super) fn of(class: PeerClass, limits: &ConnectionLimits) -> Self {
        match class {
            PeerClass::FrontProxy => Self {
                // kube-apiserver has judged the caller's head by its own limits before, so the flags alone bound it
                // here.
                bytes: limits.max_header_bytes,
                lines: limits.max_header_lines,
            },
            PeerClass::Stranger => Self {
                bytes: limits.max_header_bytes.min(STRANGER_HEADER_BYTES),
                lines: limits.max_header_lines.min(STRANGER_HEADER_LINES),
            },
        }
    }

    pub(super) fn allow(self, headers: &HeaderMap) -> bool {
        // Every line counts 32 bytes more in a header list, so a list within its bytes has few enough of them.
        let lines = headers.len();
        // As Go counts a head: name, colon, space, value, and the end of the line.
        header_bytes(headers) <= self.bytes as usize
            // Counted apart only where there are too many lines, as most heads have few.
            && (lines <= self.lines || lines - named_by_the_front_proxy(headers) <= self.lines)
    }

    /// What a request above the limits is told.
    pub(super) fn refusal(self) -> Status {
        let Self { bytes, lines } = self;
        Status::new(
            http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Reason::Unknown,
            format!("the request's headers are too large: at most {lines} lines and {bytes} bytes"),
        )
    }
}

/// Lines with which the front proxy says who the user is. A user in a thousand groups has a thousand of them.
fn named_by_the_front_proxy(headers: &HeaderMap) -> usize {
    let names = headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| name.starts_with("x-remote-")).count()
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

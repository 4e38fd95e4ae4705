//! Where in a style sheet the reader is, and what the next byte turns out to be.
//!
//! CSS Syntax level 3, section 4.3.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScanState {
    Normal,
    /// After a slash.
    Slash,
    Comment,
    /// After a star in a comment.
    CommentStar,
    /// After a backslash outside of strings, and what its digits say so far.
    Escape {
        digits: u8,
        value: u32,
    },
    Text {
        quote: u8,
        role: StringRole,
    },
    /// After a backslash in a string, and how many digits.
    TextEscape {
        quote: u8,
        role: StringRole,
        digits: u8,
    },
    /// After `url(`, before anything but white space.
    UrlBegins,
    UrlBare,
    UrlBareEscape {
        digits: u8,
    },
    /// A URL that is none or too long or over; all up to the bracket is skipped.
    UrlSkipped,
    UrlSkippedEscape,
}

/// What a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StringRole {
    Plain,
    Url,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bracket {
    /// Strings directly in it are URLs.
    OfUrls,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtRule {
    None,
    /// After `@import`: a string is a URL.
    Import,
    /// Within `@namespace`.
    Namespace,
}

/// What a byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// No part of a URL.
    Plain,
    /// Part of a URL that is not at its end.
    Held,
    /// The first byte after a URL.
    EndsUrl,
    /// The same, and what was held is no URL.
    EndsBadUrl,
}

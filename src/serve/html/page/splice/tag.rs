//! One start tag: where it is, and what it says.

use std::ops::Range;

/// A tag's attributes past these stay as they are.
pub(in crate::serve::html::page) const MAX_ATTRIBUTES: usize = 4096;

/// Where one start tag is, in bytes from the page's begin.
#[derive(Debug)]
pub(in crate::serve::html::page) struct Tag {
    pub range: Range<usize>,
    pub attributes: Vec<Attribute>,
    /// It is one of those with content that is no markup, and has some.
    pub with_content: bool,
}

/// Where an attribute is.
#[derive(Debug)]
pub(in crate::serve::html::page) struct Attribute {
    pub name: Range<usize>,
    pub value: Option<Range<usize>>,
}

/// A tag and its bytes.
pub(super) struct TagView<'t> {
    pub tag: &'t Tag,
    pub raw: &'t [u8],
    name: &'t [u8],
}

impl<'t> TagView<'t> {
    pub(super) fn new(tag: &'t Tag, raw: &'t [u8]) -> Self {
        let name = &raw[1..];
        let end = name
            .iter()
            .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'));
        let name = &name[..end.unwrap_or(name.len())];
        Self { tag, raw, name }
    }

    pub(super) fn bytes(&self, range: &Range<usize>) -> &'t [u8] {
        let begin = self.tag.range.start;
        &self.raw[range.start - begin..range.end - begin]
    }

    pub(super) fn is_quoted(&self, value: &Range<usize>) -> bool {
        let before = value.start - self.tag.range.start - 1;
        matches!(self.raw[before], b'"' | b'\'')
    }

    pub(super) fn name(&self) -> &'t [u8] {
        self.name
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    pub(super) fn range_of(&self, attribute: &str) -> Option<Range<usize>> {
        let found = self.tag.attributes.iter().find(|one| {
            self.bytes(&one.name)
                .eq_ignore_ascii_case(attribute.as_bytes())
        })?;
        found.value.clone()
    }

    pub(super) fn value(&self, attribute: &str) -> Option<&'t [u8]> {
        self.range_of(attribute).map(|range| self.bytes(&range))
    }

    pub(super) fn says(&self, attribute: &str, value: &str) -> bool {
        self.value(attribute)
            .is_some_and(|said| said.trim_ascii().eq_ignore_ascii_case(value.as_bytes()))
    }

    /// Whether nothing may be put before this tag.
    pub(super) fn comes_before_all(&self) -> bool {
        // Scripts before these would end the head, or come before the charset is known.
        self.is("html")
            || self.is("head")
            || (self.is("meta")
                && (self.value("charset").is_some() || self.says("http-equiv", "content-type")))
    }
}

//! What changes in one start tag.

use std::cell::{Cell, LazyCell};

use super::tag::TagView;
use super::{BaseHref, Splice};
use crate::serve::html::attributes::{UrlSyntax, url_syntax};
use crate::serve::html::charset;
use crate::serve::html::page::{HtmlOptions, Nesting, PageRewriter};
use crate::serve::html::steps::MAX_GROWTH;
use crate::serve::html::value::{self, Edit, Mapping};

/// Values of one tag that are read closely, in bytes together. What is past them stays as it is: a tag is read in one
/// go.
const MAX_READ: usize = 256 * 1024;

impl Splice {
    pub(super) fn edits(&self, view: &TagView<'_>) -> Vec<Edit> {
        let links = &self.options.links;
        let mapping = Mapping {
            charset: self.charset(),
            map: &|url| links.map_in_page(url),
            room: Cell::new(MAX_GROWTH),
        };
        let element = view.name();
        // Found once a tag at most: it may have thousands of attributes.
        let is_refresh = LazyCell::new(|| view.is("meta") && view.says("http-equiv", "refresh"));
        let mut edits = Vec::new();
        // Of attributes with one name browsers take the first.
        let mut is_first_document = true;
        let mut unread = MAX_READ;
        for attribute in &view.tag.attributes {
            let Some(range) = attribute.value.clone() else {
                continue;
            };
            let name = view.bytes(&attribute.name);
            let Some(syntax) = url_syntax(element, name) else {
                continue;
            };
            let value = view.bytes(&range);
            let begin = range.start - view.tag.range.start;
            // Values that need to be parsed are counted together; a plain URL costs one look.
            if !value::is_plain_url(value, syntax) {
                let Some(left) = unread.checked_sub(value.len()) else {
                    continue;
                };
                unread = left;
            }
            match syntax {
                UrlSyntax::Refresh if !*is_refresh => {}
                UrlSyntax::Document if view.is_quoted(&range) => {
                    // Browsers take the first of two, and a document costs a parser of its own.
                    if std::mem::take(&mut is_first_document) {
                        edits.extend(self.document(value, begin));
                    }
                }
                _ => value::add_edits(value, begin, syntax, &mapping, &mut edits),
            }
        }
        edits.extend(self.integrity(view));
        edits
    }

    /// A document within an attribute, which takes its base from the page around it.
    fn document(&self, value: &[u8], begin: usize) -> Option<Edit> {
        // One level deep: a document within a document within a page would cost parsers without end.
        if self.options.nesting == Nesting::Within || !self.takes_document() {
            return None;
        }
        let document = value::decoded(value)?;
        let mut options = HtmlOptions {
            nesting: Nesting::Within,
            ..self.options.clone()
        };
        if self.base == BaseHref::Set {
            // Its URL is relative to the page, and this document has the page's base.
            options.injection = None;
        }
        let now = PageRewriter::whole(options, &document)?;
        (now != *document).then(|| Edit {
            range: begin..begin + value.len(),
            now: value::escape_quoted(&now),
        })
    }

    /// A style sheet of the target may have been changed, so its hash says nothing any more.
    fn integrity(&self, view: &TagView<'_>) -> Option<Edit> {
        if !view.is("link") {
            return None;
        }
        let range = view.range_of("integrity")?;
        let of_sheet = view
            .value("rel")
            .is_some_and(|rel| has_word(rel, b"stylesheet"))
            || view.says("as", "style");
        let href = value::decoded(view.value("href")?)?;
        let elsewhere = self.options.links.leads_elsewhere(&charset::shown(&href));
        // Only of what may have been changed: other hashes still hold.
        if !of_sheet || elsewhere || range.is_empty() {
            return None;
        }
        let begin = range.start - view.tag.range.start;
        let now = if view.is_quoted(&range) { "" } else { "\"\"" };
        Some(Edit {
            range: begin..begin + range.len(),
            now: now.into(),
        })
    }
}

fn has_word(list: &[u8], word: &[u8]) -> bool {
    list.split(u8::is_ascii_whitespace)
        .any(|one| one.eq_ignore_ascii_case(word))
}

//! What changes in one start tag.

use std::cell::{Cell, LazyCell};

use super::tag::Shown;
use super::{Place, Splice};
use crate::serve::response::page::MAX_GROWTH;
use crate::serve::response::page::attributes::{Holds, holds};
use crate::serve::response::page::charset;
use crate::serve::response::page::html::{Html, Ingredients, Nesting};
use crate::serve::response::page::value::{self, Edit, Mapping};

/// Values of one tag that are read closely, in bytes together. What is past them stays as it is: a tag is read in one go.
const MAX_READ: usize = 256 * 1024;

impl Splice {
    pub(super) fn edits(&self, shown: &Shown<'_>) -> Vec<Edit> {
        let links = &self.ingredients.links;
        let mapping = Mapping {
            charset: self.charset(),
            map: &|url| links.map_in_page(url),
            room: Cell::new(MAX_GROWTH),
        };
        let element = shown.name();
        // Found once a tag at most: it may have thousands of attributes.
        let is_refresh = LazyCell::new(|| shown.is("meta") && shown.says("http-equiv", "refresh"));
        let mut edits = Vec::new();
        // Of attributes with one name browsers take the first.
        let mut is_first_document = true;
        let mut unread = MAX_READ;
        for attribute in &shown.tag.attributes {
            let Some(range) = attribute.value.clone() else {
                continue;
            };
            let name = shown.bytes(&attribute.name);
            let Some(holds) = holds(element, name) else {
                continue;
            };
            let value = shown.bytes(&range);
            let begin = range.start - shown.tag.range.start;
            if !value::is_plain_url(value, holds) {
                let Some(left) = unread.checked_sub(value.len()) else {
                    continue;
                };
                unread = left;
            }
            match holds {
                Holds::Refresh if !*is_refresh => {}
                Holds::Document if shown.is_quoted(&range) => {
                    if std::mem::take(&mut is_first_document) {
                        edits.extend(self.document(value, begin));
                    }
                }
                _ => value::add_edits(value, begin, holds, &mapping, &mut edits),
            }
        }
        edits.extend(self.integrity(shown));
        edits
    }

    /// A document within an attribute, which takes its base from the page around it.
    fn document(&self, value: &[u8], begin: usize) -> Option<Edit> {
        if self.ingredients.nesting == Nesting::Within || !self.takes_document() {
            return None;
        }
        let document = value::decoded(value)?;
        let mut ingredients = Ingredients {
            nesting: Nesting::Within,
            ..self.ingredients.clone()
        };
        if self.base == Place::Passed {
            // Its URL is relative to the page, and this document has the page's base.
            ingredients.injection = None;
        }
        let now = Html::whole(ingredients, &document)?;
        (now != *document).then(|| Edit {
            range: begin..begin + value.len(),
            now: value::written_between_quotes(&now),
        })
    }

    /// A style sheet of the target may have been changed, so its hash says nothing any more.
    fn integrity(&self, shown: &Shown<'_>) -> Option<Edit> {
        if !shown.is("link") {
            return None;
        }
        let range = shown.range_of("integrity")?;
        let of_sheet = shown
            .value("rel")
            .is_some_and(|rel| has_word(rel, b"stylesheet"))
            || shown.says("as", "style");
        let href = value::decoded(shown.value("href")?)?;
        let elsewhere = self
            .ingredients
            .links
            .leads_elsewhere(&charset::shown(&href));
        if !of_sheet || elsewhere || range.is_empty() {
            return None;
        }
        let begin = range.start - shown.tag.range.start;
        let now = if shown.is_quoted(&range) { "" } else { "\"\"" };
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

//! HTML: found out by a parser, changed in place.
//!
//! In: a page in pieces, cut anywhere. Out: the same bytes, but for URLs that lead back through the proxy, and for what
//! is put first into the document. The parser only tells where tags are; what it gives out is what it got, and
//! [`splice`] changes it on its way. So a tag keeps its case, its quotes and its white space.
//!
//! Memory is bounded: when a tag or the tree is larger than the bound, the parser gives up, and the rest passes as it
//! came. It does so too when all pages together hold too much of tags that are not at their end.

mod options;
mod splice;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use encoding_rs::WINDOWS_1252;
use lol_html::send::{Element, ElementContentHandlers, HtmlRewriter, Settings};
use lol_html::{AsciiCompatibleEncoding, MemorySettings};

pub(super) use options::{HtmlOptions, Nesting};

use super::budget::{Budget, Share};
use super::steps::{MAX_GROWTH, step};
use splice::{Attribute, MAX_ATTRIBUTES, Splice, Tag};

/// Rewrites one page.
pub(super) struct PageRewriter {
    /// Gone when it gave up.
    parser: Option<HtmlRewriter<'static, Sink>>,
    splice: Shared,
    memory: usize,
    budget: Arc<Budget>,
    /// What the parser holds of tags; `None` while that is little.
    share: Option<Share>,
    /// Bytes that the parser got.
    written: usize,
}

/// The parser keeps an unfinished tag, and an entry for each of its attributes, of which one may have two bytes; it
/// keeps the room for as many as the largest tag had. That is never more than `--page-memory`.
const HELD_PER_BYTE: usize = 32;

/// A tag of so many bytes counts for nothing: almost none has more.
const SMALL_TAG: usize = 1024;

type Shared = Arc<Mutex<Splice>>;
type Sink = Box<dyn FnMut(&[u8]) + Send>;

/// Elements whose content is no markup but may hold URLs.
const WITH_CONTENT: [&str; 3] = ["style", "script", "noscript"];

impl PageRewriter {
    pub(super) fn new(options: HtmlOptions) -> Self {
        let memory = options.memory;
        let bounds = MemorySettings::new()
            .with_preallocated_parsing_buffer_size(0)
            .with_max_allowed_memory_usage(memory)
            // So that what it got comes out even when it gives up.
            .with_graceful_bail_out_on_memory_limit_exceeded(true);
        let budget = Arc::clone(&options.budget);
        let splice: Shared = Arc::new(Mutex::new(Splice::new(options)));
        let of_handler = Arc::clone(&splice);
        let handlers =
            ElementContentHandlers::default().element(move |element: &mut Element<'_, '_>| {
                note(&of_handler, element);
                Ok(())
            });
        let every = "*".parse().expect("it is a selector");
        let encoding =
            AsciiCompatibleEncoding::new(WINDOWS_1252).expect("it is compatible with ASCII");
        let settings = Settings::new_send()
            .with_encoding(encoding)
            .with_memory_settings(bounds)
            // A strict parser ends at markup that it could read in two ways, and real pages have such.
            .with_strict(false)
            .append_element_content_handler((std::borrow::Cow::Owned(every), handlers));
        // Behind a lock since both closures need it; one task uses them, so it is never waited for.
        let of_sink = Arc::clone(&splice);
        let sink: Sink = Box::new(move |bytes: &[u8]| locked(&of_sink).pass(bytes));
        Self {
            parser: Some(HtmlRewriter::new(settings, sink)),
            splice,
            memory,
            budget,
            share: None,
            written: 0,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.written += bytes.len();
        match &mut self.parser {
            Some(parser) => {
                // It has given out all that it got before it fails.
                if parser.write(bytes).is_err() {
                    self.parser = None;
                    locked(&self.splice).give_up();
                }
            }
            None => locked(&self.splice).pass(bytes),
        }
        // After each piece, as one tag may have megabytes.
        if !self.has_room() {
            self.give_up();
        }
        locked(&self.splice).take(out);
    }

    /// Whether all pages together may hold what the parser holds now.
    fn has_room(&mut self) -> bool {
        let splice = locked(&self.splice);
        // What the parser got and has not given out is a tag without its end.
        let unfinished = self.written - splice.position();
        let largest = unfinished.max(splice.largest_tag());
        // Given back before the budget is asked, which may write a line to the log.
        drop(splice);
        if largest <= SMALL_TAG || self.parser.is_none() {
            return true;
        }
        // Never more than the parser's own bound, whatever its tags are.
        let bytes = (largest * HELD_PER_BYTE).min(self.memory);
        match &mut self.share {
            Some(share) => share.grow_to(bytes),
            None => {
                self.share = self.budget.share(bytes);
                self.share.is_some()
            }
        }
    }

    /// The rest of the page passes as it comes.
    fn give_up(&mut self) {
        if let Some(parser) = self.parser.take() {
            // It gives out all that it got, an unfinished tag as well.
            let _ = parser.end();
            locked(&self.splice).give_up();
        }
        self.share = None;
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(parser) = self.parser.take() {
            // What it fails with at the end is the bound again.
            let _ = parser.end();
        }
        let mut splice = locked(&self.splice);
        splice.end();
        splice.take(out);
    }

    /// A page that is there as a whole; `None`: it would grow by more than [`MAX_GROWTH`].
    pub(super) fn whole(options: HtmlOptions, page: &[u8]) -> Option<Vec<u8>> {
        let most = page.len() + MAX_GROWTH;
        let step = step(&options.links);
        let mut html = Self::new(options);
        let mut out = Vec::with_capacity(page.len() + 64);
        // In pieces, so that a page that grows too much is noticed before all of it has grown.
        for piece in page.chunks(step) {
            html.write(piece, &mut out);
            if out.len() > most {
                return None;
            }
        }
        html.end(&mut out);
        (out.len() <= most).then_some(out)
    }
}

impl std::fmt::Debug for PageRewriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Html").finish_non_exhaustive()
    }
}

/// Tells where a tag and its attributes are, before the tag is given out.
fn note(splice: &Shared, element: &mut Element<'_, '_>) {
    let attributes = element.attributes().iter().filter_map(|attribute| {
        Some(Attribute {
            name: attribute.name_source_location()?.bytes(),
            value: attribute.value_source_location().map(|value| value.bytes()),
        })
    });
    let name = element.tag_name();
    let with_content = element.can_have_content() && WITH_CONTENT.contains(&name.as_str());
    let tag = Tag {
        range: element.source_location().bytes(),
        attributes: attributes.take(MAX_ATTRIBUTES).collect(),
        with_content,
    };
    locked(splice).expect_tag(tag);
    if with_content {
        let of_end = Arc::clone(splice);
        let ended = element.on_end_tag(Box::new(move |end| {
            locked(&of_end).expect_end_of_content(end.source_location().bytes().start);
            Ok(())
        }));
        debug_assert!(ended.is_ok(), "an element with content has an end");
    }
}

fn locked(splice: &Mutex<Splice>) -> MutexGuard<'_, Splice> {
    splice.lock().unwrap_or_else(PoisonError::into_inner)
}

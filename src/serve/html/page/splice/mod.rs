//! Puts changes into a page while its bytes go by.
//!
//! In: where the parser found tags, and then the page's bytes. Out: the bytes with the URLs of those tags, of style
//! sheets and of import maps between them mapped. Kept is nothing but the URL that is just going by, and an import map
//! up to [`MAX_IMPORT_MAP`].
//!
//! What is put first into a document comes right behind `<head>`, or before the first element if there is no such tag,
//! so it never comes before the doctype. A `<meta>` that names the charset stays before it, as browsers look for that
//! only in a page's first kilobyte.

mod edits;
mod tag;

use std::cell::Cell;
use std::collections::VecDeque;

use super::{HtmlOptions, Nesting, PageRewriter};
use crate::serve::html::charset::charset_of;
use crate::serve::html::charset::{self, Charset};
use crate::serve::html::css::Css;
use crate::serve::html::steps::HANDED_OUT;
use crate::serve::html::{json, value};
use tag::TagView;
pub(super) use tag::{Attribute, MAX_ATTRIBUTES, Tag};

/// Documents within a page (`srcdoc`, `<noscript>`) past these stay as they are: each costs a parser of its own.
const MAX_DOCUMENTS: usize = 1024;

/// A larger import map stays as it is.
const MAX_IMPORT_MAP: usize = 256 * 1024;

#[derive(Debug)]
enum Mark {
    Tag(Tag),
    EndOfContent(usize),
}

/// What the bytes between tags are.
#[derive(Debug)]
enum Content {
    Text,
    Css(Box<Css>),
    ImportMap(Vec<u8>),
    /// Markup for browsers without scripts.
    NoScript(Box<PageRewriter>),
}

/// Whether what is to be put first into the document is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Injected {
    NotYet,
    Done,
}

/// Whether the document has said what its links are relative to. Only the first `<base href>` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BaseHref {
    Unset,
    Set,
}

#[derive(Debug)]
pub(super) struct Splice {
    options: HtmlOptions,
    injected: Injected,
    base: BaseHref,
    /// Where the next byte stands in the page.
    position: usize,
    largest_tag: usize,
    marks: VecDeque<Mark>,
    content: Content,
    /// How many documents within the page may still be rewritten.
    documents: Cell<usize>,
    out: Vec<u8>,
}

impl Splice {
    pub(super) fn new(options: HtmlOptions) -> Self {
        Self {
            options,
            injected: Injected::NotYet,
            base: BaseHref::Unset,
            position: 0,
            largest_tag: 0,
            marks: VecDeque::new(),
            content: Content::Text,
            documents: Cell::new(MAX_DOCUMENTS),
            out: Vec::new(),
        }
    }

    /// Whether a document within the page may be rewritten, which is one less then.
    fn takes_document(&self) -> bool {
        let left = self.documents.get().checked_sub(1);
        self.documents.set(left.unwrap_or(0));
        left.is_some()
    }

    /// How many bytes of the page have gone by.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Bytes of the largest tag that has gone by.
    pub(super) fn largest_tag(&self) -> usize {
        self.largest_tag
    }

    pub(super) fn expect_tag(&mut self, tag: Tag) {
        self.largest_tag = self.largest_tag.max(tag.range.len());
        // Most tags say nothing that matters. While something is open or expected, each does, as it ends what is
        // before.
        let ends_content = !matches!(self.content, Content::Text) || !self.marks.is_empty();
        let matters =
            !tag.attributes.is_empty() || tag.with_content || self.injected == Injected::NotYet;
        if matters || ends_content {
            self.marks.push_back(Mark::Tag(tag));
        }
    }

    pub(super) fn expect_end_of_content(&mut self, at: usize) {
        self.marks.push_back(Mark::EndOfContent(at));
    }

    /// The next bytes of the page.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        // The parser tells of a tag before it gives the tag out, so the next mark is never behind these bytes.
        while !bytes.is_empty() {
            let begin = match self.marks.front() {
                Some(Mark::Tag(tag)) => tag.range.start,
                Some(Mark::EndOfContent(at)) => *at,
                None => usize::MAX,
            };
            // What is between two marks is text, or part of an element that is followed.
            let before = begin.saturating_sub(self.position).min(bytes.len());
            self.between_tags(&bytes[..before]);
            self.position += before;
            bytes = &bytes[before..];
            if bytes.is_empty() {
                return;
            }
            match self.marks.pop_front() {
                Some(Mark::Tag(tag)) => {
                    let length = tag.range.end.saturating_sub(self.position).min(bytes.len());
                    // A tag ends what is open: its element can't hold it.
                    self.end_content();
                    self.tag(&tag, &bytes[..length]);
                    self.position += length;
                    bytes = &bytes[length..];
                }
                Some(Mark::EndOfContent(_)) => self.end_content(),
                None => {}
            }
        }
    }

    /// The parser is gone: what follows passes as it comes.
    pub(super) fn give_up(&mut self) {
        self.end_content();
        self.marks.clear();
    }

    pub(super) fn end(&mut self) {
        self.end_content();
    }

    /// Hands over what is ready. Where nothing waits there, the buffer itself goes: pages are copied often enough.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) {
        // Swapped, so that the page's bytes are moved and not copied.
        if out.is_empty() {
            std::mem::swap(out, &mut self.out);
            self.out.reserve(out.len().min(HANDED_OUT));
        } else {
            out.append(&mut self.out);
        }
    }

    fn charset(&self) -> Charset {
        self.options.charset.unwrap_or(Charset::Ascii)
    }

    fn between_tags(&mut self, bytes: &[u8]) {
        let links = &self.options.links;
        let out = &mut self.out;
        match &mut self.content {
            Content::Text => out.extend_from_slice(bytes),
            Content::Css(css) => {
                css.write(bytes, &|url| links.map_in_page(url), &mut |piece| {
                    out.extend_from_slice(piece.now());
                });
            }
            Content::ImportMap(map) => {
                map.extend_from_slice(bytes);
                // Too long to be kept: what was kept goes out as it came.
                if map.len() > MAX_IMPORT_MAP {
                    out.append(map);
                    self.content = Content::Text;
                }
            }
            Content::NoScript(html) => html.write(bytes, out),
        }
    }

    fn end_content(&mut self) {
        let links = &self.options.links;
        let out = &mut self.out;
        match std::mem::replace(&mut self.content, Content::Text) {
            Content::Text => {}
            Content::Css(mut css) => css.end(&|url| links.map_in_page(url), &mut |piece| {
                out.extend_from_slice(piece.now());
            }),
            Content::ImportMap(map) => {
                let mapped = json::replaced(&map, &|path, role, string| {
                    holds_module(path, role)
                        .then(|| links.map_in_page(string))
                        .flatten()
                });
                out.extend_from_slice(&mapped.unwrap_or(map));
            }
            Content::NoScript(mut html) => html.end(out),
        }
    }

    fn tag(&mut self, tag: &Tag, raw: &[u8]) {
        if raw.len() < tag.range.len() {
            // It can't be read in halves. The parser gives out whole tags only, but for when it gives up.
            self.out.extend_from_slice(raw);
            return;
        }
        let view = TagView::new(tag, raw);
        // Before the injection, which has to come after the charset.
        if view.is("meta") {
            self.note_charset(&view);
        }
        if self.injected == Injected::NotYet && !view.comes_before_all() {
            self.injected = Injected::Done;
            if let Some(injection) = &self.options.injection {
                self.out.extend_from_slice(injection.as_bytes());
            }
        }
        let mut edits = self.edits(&view);
        // An attribute may have several edits, and `integrity` is looked at last, wherever it stands.
        if edits.len() > 1 {
            edits.sort_by_key(|edit| edit.range.start);
        }
        let mut at = 0;
        for edit in edits {
            // Two edits of one place: the first counts, as bytes that are gone can't change again.
            if edit.range.start < at {
                continue;
            }
            self.out.extend_from_slice(&raw[at..edit.range.start]);
            self.out.extend_from_slice(&edit.now);
            at = edit.range.end;
        }
        self.out.extend_from_slice(&raw[at..]);
        // After its own links were mapped, as they are relative to the page itself.
        if view.is("base") {
            self.note_base(&view);
        }
        if tag.with_content {
            self.begin_content(&view);
        }
    }

    fn note_charset(&mut self, view: &TagView<'_>) {
        if self.options.charset.is_some() {
            return;
        }
        let label = match view.value("charset") {
            Some(label) => Some(label),
            None if view.says("http-equiv", "content-type") => {
                view.value("content").and_then(charset_of)
            }
            None => None,
        };
        // A page whose bytes could be read so far is in no encoding that isn't compatible with ASCII.
        self.options.charset = label
            .and_then(|label| std::str::from_utf8(label).ok())
            .map(|label| Charset::named(label.trim()).unwrap_or(Charset::Ascii));
    }

    fn note_base(&mut self, view: &TagView<'_>) {
        if self.base == BaseHref::Unset
            && let Some(href) = view.value("href")
        {
            self.base = BaseHref::Set;
            if let Some(href) = value::decoded(href) {
                self.options.links.rebase(&charset::shown(&href));
            }
        }
    }

    fn begin_content(&mut self, view: &TagView<'_>) {
        let kind = view.value("type").unwrap_or_default();
        let is = |wanted: &str| kind.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes());
        self.content = if view.is("style") && (kind.is_empty() || is("text/css")) {
            Content::Css(Box::new(Css::new(self.charset())))
        } else if view.is("script") && is("importmap") {
            Content::ImportMap(Vec::new())
        // One level deep, like documents in attributes.
        } else if view.is("noscript")
            && self.options.nesting == Nesting::Outermost
            && self.takes_document()
        {
            Content::NoScript(Box::new(PageRewriter::new(HtmlOptions {
                injection: None,
                nesting: Nesting::Within,
                ..self.options.clone()
            })))
        } else {
            Content::Text
        };
    }
}

/// Whether a string of an import map is a URL or may be one.
fn holds_module(path: &[String], role: json::JsonRole) -> bool {
    match (role, path) {
        (json::JsonRole::Key, [all]) => matches!(all.as_str(), "imports" | "scopes" | "integrity"),
        (json::JsonRole::Key, [all, _]) | (json::JsonRole::Value, [all, _, _]) => all == "scopes",
        (json::JsonRole::Value, [all, _]) => all == "imports",
        (json::JsonRole::Key | json::JsonRole::Value, _) => false,
    }
}

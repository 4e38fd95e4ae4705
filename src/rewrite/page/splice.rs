//! Puts changes into a page while its bytes go by.
//!
//! In: where the parser found tags, and then the page's bytes. Out: the bytes with the URLs of those tags, of style sheets and
//! of import maps between them mapped. Kept is nothing but the URL that is just going by, and an import map up to
//! [`LARGEST_IMPORT_MAP`].
//!
//! What is put first into a document comes right behind `<head>`, or before the first element if there is no such tag, so it
//! never comes before the doctype. A `<meta>` that names the charset stays before it, as browsers look for that only in a
//! page's first kilobyte.

use std::collections::VecDeque;
use std::ops::Range;

use super::attributes::{Holds, holds};
use super::charset::Charset;
use super::css::{Css, Piece};
use super::html::{Html, Ingredients, Nesting};
use super::json;
use super::value::{self, Edit, Mapping};

/// A larger import map stays as it is.
const LARGEST_IMPORT_MAP: usize = 256 * 1024;

/// Where one start tag is, in bytes from the page's begin.
#[derive(Debug)]
pub(super) struct Tag {
    pub range: Range<usize>,
    pub attributes: Vec<Attribute>,
    /// It is one of those with content that is no markup, and has some.
    pub with_content: bool,
}

/// Where an attribute is.
#[derive(Debug)]
pub(super) struct Attribute {
    pub name: Range<usize>,
    pub value: Option<Range<usize>>,
}

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
    NoScript(Box<Html>),
}

/// Where what is to be put first into the document may still go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Ahead,
    Passed,
}

#[derive(Debug)]
pub(super) struct Splice {
    ingredients: Ingredients,
    place: Place,
    base: Place,
    /// Where the next byte stands in the page.
    position: usize,
    marks: VecDeque<Mark>,
    content: Content,
    out: Vec<u8>,
}

impl Splice {
    pub(super) fn new(ingredients: Ingredients) -> Self {
        Self {
            ingredients,
            place: Place::Ahead,
            base: Place::Ahead,
            position: 0,
            marks: VecDeque::new(),
            content: Content::Text,
            out: Vec::new(),
        }
    }

    pub(super) fn expect_tag(&mut self, tag: Tag) {
        self.marks.push_back(Mark::Tag(tag));
    }

    pub(super) fn expect_end_of_content(&mut self, at: usize) {
        self.marks.push_back(Mark::EndOfContent(at));
    }

    /// The next bytes of the page.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let begin = match self.marks.front() {
                Some(Mark::Tag(tag)) => tag.range.start,
                Some(Mark::EndOfContent(at)) => *at,
                None => usize::MAX,
            };
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

    /// Hands over what is ready.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }

    fn charset(&self) -> Charset {
        self.ingredients.charset.unwrap_or(Charset::Ascii)
    }

    fn between_tags(&mut self, bytes: &[u8]) {
        let links = &self.ingredients.links;
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
                if map.len() > LARGEST_IMPORT_MAP {
                    out.append(map);
                    self.content = Content::Text;
                }
            }
            Content::NoScript(html) => html.write(bytes, out),
        }
    }

    fn end_content(&mut self) {
        let links = &self.ingredients.links;
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
        let shown = Shown { tag, raw };
        if shown.is("meta") {
            self.note_charset(&shown);
        }
        if self.place == Place::Ahead && !shown.comes_before_all() {
            self.place = Place::Passed;
            if let Some(injection) = &self.ingredients.injection {
                self.out.extend_from_slice(injection.as_bytes());
            }
        }
        let mut edits = self.edits(&shown);
        edits.sort_by_key(|edit| edit.range.start);
        let mut at = 0;
        for edit in edits {
            if edit.range.start < at {
                continue;
            }
            self.out.extend_from_slice(&raw[at..edit.range.start]);
            self.out.extend_from_slice(&edit.now);
            at = edit.range.end;
        }
        self.out.extend_from_slice(&raw[at..]);
        if shown.is("base") {
            self.note_base(&shown);
        }
        if tag.with_content {
            self.begin_content(&shown);
        }
    }

    fn edits(&self, shown: &Shown<'_>) -> Vec<Edit> {
        let links = &self.ingredients.links;
        let mapping = Mapping {
            charset: self.charset(),
            map: &|url| links.map_in_page(url),
        };
        let mut edits = Vec::new();
        for attribute in &shown.tag.attributes {
            let Some(range) = attribute.value.clone() else {
                continue;
            };
            let name = shown.bytes(&attribute.name);
            let Some(holds) = holds(shown.name(), name) else {
                continue;
            };
            let value = shown.bytes(&range);
            let begin = range.start - shown.tag.range.start;
            match holds {
                Holds::Refresh if !shown.says("http-equiv", "refresh") => {}
                Holds::Document if shown.is_quoted(&range) => {
                    edits.extend(self.document(value, begin));
                }
                _ => edits.extend(
                    value::edits(value, holds, &mapping)
                        .into_iter()
                        .map(|edit| Edit {
                            range: begin + edit.range.start..begin + edit.range.end,
                            now: edit.now,
                        }),
                ),
            }
        }
        edits.extend(self.integrity(shown));
        edits
    }

    /// A document within an attribute, which takes its base from the page around it.
    fn document(&self, value: &[u8], begin: usize) -> Option<Edit> {
        if self.ingredients.nesting == Nesting::Within {
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
        let now = Html::whole(ingredients, &document);
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
            .leads_elsewhere(&super::charset::shown(&href));
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

    fn note_charset(&mut self, shown: &Shown<'_>) {
        if self.ingredients.charset.is_some() {
            return;
        }
        let label = match shown.value("charset") {
            Some(label) => Some(label),
            None if shown.says("http-equiv", "content-type") => {
                shown.value("content").and_then(super::charset_of)
            }
            None => None,
        };
        // A page whose bytes could be read so far is in no encoding that isn't compatible with ASCII.
        self.ingredients.charset = label
            .and_then(|label| std::str::from_utf8(label).ok())
            .map(|label| Charset::named(label.trim()).unwrap_or(Charset::Ascii));
    }

    fn note_base(&mut self, shown: &Shown<'_>) {
        if self.base == Place::Ahead
            && let Some(href) = shown.value("href")
        {
            self.base = Place::Passed;
            if let Some(href) = value::decoded(href) {
                self.ingredients.links.rebase(&super::charset::shown(&href));
            }
        }
    }

    fn begin_content(&mut self, shown: &Shown<'_>) {
        let kind = shown.value("type").unwrap_or_default();
        let is = |wanted: &str| kind.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes());
        self.content = if shown.is("style") && (kind.is_empty() || is("text/css")) {
            Content::Css(Box::new(Css::new(self.charset())))
        } else if shown.is("script") && is("importmap") {
            Content::ImportMap(Vec::new())
        } else if shown.is("noscript") && self.ingredients.nesting == Nesting::Outermost {
            Content::NoScript(Box::new(Html::new(Ingredients {
                injection: None,
                nesting: Nesting::Within,
                ..self.ingredients.clone()
            })))
        } else {
            Content::Text
        };
    }
}

impl Piece<'_> {
    /// The bytes to go out.
    pub(super) fn now(&self) -> &[u8] {
        match self {
            Self::AsItWas(bytes) | Self::Changed { now: bytes, .. } => bytes,
        }
    }
}

/// A tag and its bytes.
struct Shown<'t> {
    tag: &'t Tag,
    raw: &'t [u8],
}

impl<'t> Shown<'t> {
    fn bytes(&self, range: &Range<usize>) -> &'t [u8] {
        let begin = self.tag.range.start;
        &self.raw[range.start - begin..range.end - begin]
    }

    fn is_quoted(&self, value: &Range<usize>) -> bool {
        let before = value.start - self.tag.range.start - 1;
        matches!(self.raw[before], b'"' | b'\'')
    }

    fn name(&self) -> &'t [u8] {
        let name = &self.raw[1..];
        let end = name
            .iter()
            .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'));
        &name[..end.unwrap_or(name.len())]
    }

    fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    fn range_of(&self, attribute: &str) -> Option<Range<usize>> {
        let found = self.tag.attributes.iter().find(|one| {
            self.bytes(&one.name)
                .eq_ignore_ascii_case(attribute.as_bytes())
        })?;
        found.value.clone()
    }

    fn value(&self, attribute: &str) -> Option<&'t [u8]> {
        self.range_of(attribute).map(|range| self.bytes(&range))
    }

    fn says(&self, attribute: &str, value: &str) -> bool {
        self.value(attribute)
            .is_some_and(|said| said.trim_ascii().eq_ignore_ascii_case(value.as_bytes()))
    }

    /// Whether nothing may be put before this tag.
    fn comes_before_all(&self) -> bool {
        self.is("html")
            || self.is("head")
            || (self.is("meta")
                && (self.value("charset").is_some() || self.says("http-equiv", "content-type")))
    }
}

/// Whether a string of an import map is a URL or may be one.
fn holds_module(path: &[String], role: json::Role) -> bool {
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    match role {
        json::Role::Key => matches!(
            keys.as_slice(),
            ["imports" | "scopes" | "integrity"] | ["scopes", _]
        ),
        json::Role::Value => matches!(keys.as_slice(), ["imports", _] | ["scopes", _, _]),
    }
}

fn has_word(list: &[u8], word: &[u8]) -> bool {
    list.split(u8::is_ascii_whitespace)
        .any(|one| one.eq_ignore_ascii_case(word))
}

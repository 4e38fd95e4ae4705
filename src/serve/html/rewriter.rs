//! Which responses are rewritten, and by what.
//!
//! In: the head of a response. Out: a [`Rewriter`], which takes its body in pieces, or nothing: the type is another,
//! its charset is not compatible with ASCII, or its encoding isn't known.

use std::sync::Arc;

use http::header::HeaderMap;

use super::charset::{Charset, charset_of, is_marked_as_utf16};
use super::css::Css;
use super::links::Links;
use super::page::{HtmlOptions, Nesting, PageRewriter};
use super::{PageTreatment, Sniffing, manifest, media_type};

/// A larger manifest stays as it is. It is read in one go.
const MAX_MANIFEST: usize = 256 * 1024;

/// Rewrites one body that is decoded already.
#[derive(Debug)]
pub(super) struct Rewriter {
    /// The first bytes, until it is sure that they are no mark of UTF-16.
    begin: Option<Vec<u8>>,
    media: Media,
}

#[derive(Debug)]
enum Media {
    Html(Box<PageRewriter>),
    /// A page, unless it begins as data does.
    HtmlOrJson(Box<PageRewriter>),
    Css(Box<Css>, Links),
    Manifest(Vec<u8>, Links),
    /// What is to be put first.
    Script(&'static str),
    Untouched,
}

/// Whether a media type is one that is rewritten.
pub(super) fn is_rewritten(media_type: &[u8], path: &str) -> bool {
    let essence = media_type::essence(media_type);
    essence.eq_ignore_ascii_case(b"text/html")
        || essence.eq_ignore_ascii_case(b"text/css")
        || is_manifest(&essence.to_ascii_lowercase(), path)
}

/// Whether a media type is JavaScript, by the names that browsers know and servers use.
pub(super) fn is_script(media_type: &[u8]) -> bool {
    let essence = media_type.split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    [
        "text/javascript",
        "application/javascript",
        "application/x-javascript",
        "application/ecmascript",
    ]
    .iter()
    .any(|known| essence.eq_ignore_ascii_case(known.as_bytes()))
}

/// A directive counts only where it stands first, so one that does is said once more.
fn strictness(script: &[u8]) -> &'static [u8] {
    let begin = script.trim_ascii_start();
    // The prologue would come before the directive and switch it off.
    if begin.starts_with(b"\"use strict\"") || begin.starts_with(b"'use strict'") {
        b"\"use strict\";"
    } else {
        b""
    }
}

impl Rewriter {
    pub(super) fn of(headers: &HeaderMap, how: &PageTreatment) -> Option<Self> {
        let media_type = media_type::of(headers)?;
        let charset = match charset_of(media_type) {
            // A name that is no UTF-8 is no charset, and an unknown charset may give ASCII bytes another meaning.
            Some(label) => Some(Charset::named(std::str::from_utf8(label).ok()?)?),
            None => None,
        };
        let essence = media_type::essence(media_type).to_ascii_lowercase();
        let media = match essence.as_slice() {
            b"text/html" => html(how, charset),
            b"text/css" => {
                let css = Css::new(charset.unwrap_or(Charset::Ascii));
                Media::Css(Box::new(css), how.links.clone())
            }
            other if is_script(other) => Media::Script(how.prologue?),
            other if is_manifest(other, how.links.page()) => {
                // Manifests come as many types, so this stands behind those that are sure.
                Media::Manifest(Vec::new(), how.links.clone())
            }
            _ => return None,
        };
        Some(Self {
            begin: Some(Vec::new()),
            media,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Some(mut begin) = self.begin.take() else {
            return self.media.write(bytes, out);
        };
        begin.extend_from_slice(bytes);
        // A mark of UTF-16 has two bytes, and it wins over what the header says.
        if begin.len() < 2 {
            self.begin = Some(begin);
            return;
        }
        if is_marked_as_utf16(&begin) {
            self.media = Media::Untouched;
        }
        self.media.write(&begin, out);
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        // A body of a single byte was held back to its end.
        if let Some(begin) = self.begin.take() {
            self.media.write(&begin, out);
        }
        self.media.end(out);
    }
}

fn html(how: &PageTreatment, charset: Option<Charset>) -> Media {
    let html = Box::new(PageRewriter::new(HtmlOptions {
        links: how.links.clone(),
        injection: how.injection.as_ref().map(|one| one.html.clone()),
        charset,
        memory: how.limits.memory,
        budget: Arc::clone(&how.budget),
        nesting: Nesting::Outermost,
    }));
    // Only a response that a script may have asked for is looked at: in a navigation HTML is HTML.
    match how.sniffing {
        Sniffing::Off => Media::Html(html),
        Sniffing::Json => Media::HtmlOrJson(html),
    }
}

/// Where a body begins, white space (RFC 8259 section 2) and the mark of UTF-8 aside.
fn begin(bytes: &[u8]) -> Option<usize> {
    let is_blank = |byte: &u8| b" \t\r\n\xef\xbb\xbf".contains(byte);
    bytes.iter().position(|byte| !is_blank(byte))
}

/// Whether a body that begins with this byte is JSON: an object, a list, a text, or the guard `)]}'` before one of
/// them. A fragment of a page may begin so as well. Its links are then mapped where a script puts it into a document.
fn begins_json(byte: u8) -> bool {
    matches!(byte, b'{' | b'[' | b'"' | b')')
}

impl Media {
    fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Html(html) => html.write(bytes, out),
            Self::HtmlOrJson(html) => match begin(bytes) {
                // Nothing but white space so far, which is the same in both.
                None => html.write(bytes, out),
                Some(at) if begins_json(bytes[at]) => {
                    // What came before was white space, which the parser has passed on.
                    html.end(out);
                    out.extend_from_slice(bytes);
                    *self = Self::Untouched;
                }
                Some(_) => {
                    html.write(bytes, out);
                    self.is_html();
                }
            },
            Self::Css(css, links) => css.write(bytes, &|url| links.map(url), &mut |piece| {
                out.extend_from_slice(piece.now());
            }),
            Self::Manifest(held, _) => {
                held.extend_from_slice(bytes);
                // Let go as it came, and memory stays bounded.
                if held.len() > MAX_MANIFEST {
                    out.append(held);
                    *self = Self::Untouched;
                }
            }
            Self::Script(prologue) => {
                out.extend_from_slice(strictness(bytes));
                out.extend_from_slice(prologue.as_bytes());
                out.extend_from_slice(bytes);
                *self = Self::Untouched;
            }
            Self::Untouched => out.extend_from_slice(bytes),
        }
    }

    /// It did not begin as data.
    fn is_html(&mut self) {
        *self = match std::mem::replace(self, Self::Untouched) {
            Self::HtmlOrJson(html) => Self::Html(html),
            other => other,
        };
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Html(html) | Self::HtmlOrJson(html) => html.end(out),
            Self::Css(css, links) => css.end(&|url| links.map(url), &mut |piece| {
                out.extend_from_slice(piece.now());
            }),
            Self::Manifest(held, links) => match manifest::mapped(held, links) {
                Some(mapped) => out.extend_from_slice(&mapped),
                // A manifest that can't be read works better unchanged than not at all.
                None => out.append(held),
            },
            Self::Script(_) | Self::Untouched => {}
        }
    }
}

/// Many servers know no type for manifests, so the usual names count, too.
fn is_manifest(essence: &[u8], path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    match essence {
        b"application/manifest+json" => true,
        b"application/json" | b"text/json" | b"text/plain" | b"application/octet-stream" => {
            name == "manifest.json" || name.ends_with(".webmanifest")
        }
        _ => false,
    }
}

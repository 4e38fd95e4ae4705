//! Which attribute of which element holds URLs, and in what form: one table.
//!
//! In: the name of an element and of one of its attributes, as they stand in the page. Out: how the value is to be
//! read, or nothing for attributes that no browser follows. Names match whatever their case; SVG's own elements are in
//! the table beside those of HTML, as both may stand in one page. Custom elements hold what their scripts make of it
//! and are left alone; so is `data-*`.
//!
//! HTML standard, "Attributes" index; SVG 2, "Linking"; HTML 4.01 for what browsers still follow of it.

/// How an attribute's value holds URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UrlSyntax {
    Url,
    /// URLs with white space between them.
    SpacedUrls,
    /// URLs with commas between them.
    CommaUrls,
    /// Images with their widths or densities.
    Srcset,
    /// Declarations of CSS, or a single value of one.
    Css,
    /// Seconds and a URL, if `http-equiv` says that it is that.
    Refresh,
    /// A whole document.
    Document,
}

/// What an attribute belongs to.
pub(super) enum Of {
    /// Every element that is no custom element.
    Any,
    Only(&'static [&'static str]),
}

use Of::{Any, Only};

pub(super) const TABLE: &[(&str, Of, UrlSyntax)] = &[
    ("href", Any, UrlSyntax::Url),
    ("xlink:href", Any, UrlSyntax::Url),
    (
        "src",
        Only(&[
            "img", "script", "iframe", "frame", "embed", "source", "track", "audio", "video",
            "input", "image", "bgsound",
        ]),
        UrlSyntax::Url,
    ),
    ("style", Any, UrlSyntax::Css),
    ("action", Only(&["form"]), UrlSyntax::Url),
    ("formaction", Only(&["button", "input"]), UrlSyntax::Url),
    ("poster", Only(&["video"]), UrlSyntax::Url),
    ("data", Only(&["object"]), UrlSyntax::Url),
    ("codebase", Only(&["object", "applet"]), UrlSyntax::Url),
    ("archive", Only(&["object"]), UrlSyntax::SpacedUrls),
    ("archive", Only(&["applet"]), UrlSyntax::CommaUrls),
    (
        "cite",
        Only(&["blockquote", "q", "ins", "del"]),
        UrlSyntax::Url,
    ),
    (
        "background",
        Only(&["body", "table", "thead", "tbody", "tfoot", "tr", "td", "th"]),
        UrlSyntax::Url,
    ),
    (
        "longdesc",
        Only(&["img", "frame", "iframe"]),
        UrlSyntax::Url,
    ),
    ("lowsrc", Only(&["img"]), UrlSyntax::Url),
    ("dynsrc", Only(&["img"]), UrlSyntax::Url),
    ("ping", Only(&["a", "area"]), UrlSyntax::SpacedUrls),
    ("manifest", Only(&["html"]), UrlSyntax::Url),
    ("srcset", Only(&["img", "source"]), UrlSyntax::Srcset),
    ("imagesrcset", Only(&["link"]), UrlSyntax::Srcset),
    ("content", Only(&["meta"]), UrlSyntax::Refresh),
    ("srcdoc", Only(&["iframe"]), UrlSyntax::Document),
    ("fill", Any, UrlSyntax::Css),
    ("stroke", Any, UrlSyntax::Css),
    ("filter", Any, UrlSyntax::Css),
    ("mask", Any, UrlSyntax::Css),
    ("clip-path", Any, UrlSyntax::Css),
    ("cursor", Any, UrlSyntax::Css),
    ("marker-start", Any, UrlSyntax::Css),
    ("marker-mid", Any, UrlSyntax::Css),
    ("marker-end", Any, UrlSyntax::Css),
];

/// How an attribute of an element holds URLs, if it does.
pub(super) fn url_syntax(element: &[u8], attribute: &[u8]) -> Option<UrlSyntax> {
    // Most attributes of a page are these.
    if matches!(attribute, b"class" | b"id" | b"type" | b"title" | b"alt") {
        return None;
    }
    let first = attribute.first()?.to_ascii_lowercase();
    TABLE
        .iter()
        .find(|(name, of, _)| {
            name.as_bytes()[0] == first
                && attribute.eq_ignore_ascii_case(name.as_bytes())
                && match of {
                    Any => !element.contains(&b'-') || is_of_svg(element),
                    Only(elements) => elements
                        .iter()
                        .any(|one| element.eq_ignore_ascii_case(one.as_bytes())),
                }
        })
        .map(|(_, _, syntax)| *syntax)
}

/// Elements with a hyphen that are no custom elements.
fn is_of_svg(element: &[u8]) -> bool {
    let known = [
        "annotation-xml",
        "color-profile",
        "font-face-uri",
        "missing-glyph",
    ];
    known
        .iter()
        .any(|one| element.eq_ignore_ascii_case(one.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_whatever_their_case() {
        assert_eq!(url_syntax(b"IMG", b"SrcSet"), Some(UrlSyntax::Srcset));
        assert_eq!(url_syntax(b"feImage", b"xlink:HREF"), Some(UrlSyntax::Url));
    }

    #[test]
    fn what_no_browser_follows_holds_nothing() {
        for (element, attribute) in [
            ("my-link", "href"),
            ("div", "src"),
            ("a", "data-href"),
            ("a", "title"),
            ("input", "value"),
            ("meta", "href2"),
            ("p", ""),
        ] {
            let found = url_syntax(element.as_bytes(), attribute.as_bytes());
            assert_eq!(found, None, "{element} {attribute}");
        }
    }
}

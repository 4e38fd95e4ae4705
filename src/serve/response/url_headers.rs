//! Header fields besides `Location` that hold URLs: `Content-Location`, `Link`, `Refresh`, `SourceMap`, and where a
//! `Content-Security-Policy` reports to. What leads into the target is made relative, as everywhere.
//!
//! RFC 9110 section 8.7, RFC 8288 section 3; `Refresh` as the HTML standard reads it.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::csp;
use crate::serve::html::links::Links;

/// A longer line of these fields passes as it is: it leads no further than a link in a page may, and none is that long.
const MAX_FIELD: usize = 64 * 1024;

/// A line that would grow by more than this passes as it is.
const MAX_FIELD_GROWTH: usize = 64 * 1024;

/// How a field holds URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Url,
    Link,
    Refresh,
    /// Only where it reports to.
    Policy,
    /// A redirect's, which `redirect` sees to.
    Location,
}

/// Every field of a response that holds URLs.
pub(super) const FIELDS: &[(&str, Syntax)] = &[
    ("location", Syntax::Location),
    ("content-location", Syntax::Url),
    ("sourcemap", Syntax::Url),
    ("link", Syntax::Link),
    ("refresh", Syntax::Refresh),
    ("content-security-policy", Syntax::Policy),
    ("content-security-policy-report-only", Syntax::Policy),
];

/// Whether a field is one of these.
pub(super) fn holds_urls(name: &HeaderName) -> bool {
    FIELDS.iter().any(|(field, _)| name.as_str() == *field)
}

/// Maps the URLs of these fields.
pub(super) fn map(headers: &mut HeaderMap, links: &Links) {
    for (name, line) in headers.iter_mut() {
        let field = FIELDS.iter().find(|(field, _)| name.as_str() == *field);
        let Some((_, syntax)) = field else { continue };
        let text = line.to_str().ok().filter(|text| text.len() <= MAX_FIELD);
        let mapped = text.and_then(|text| match syntax {
            Syntax::Url => links.map(text),
            Syntax::Link => link(text, links),
            Syntax::Refresh => refresh(text, links),
            Syntax::Policy => csp::with_reports(text, &|url| links.map(url)),
            Syntax::Location => None,
        });
        let mapped = mapped.filter(|text| text.len() <= line.len() + MAX_FIELD_GROWTH);
        if let Some(mapped) = mapped.and_then(|text| HeaderValue::try_from(text).ok()) {
            *line = mapped;
        }
    }
}

/// `<url>; rel=x, <url>; rel=y`: a `<` begins a URL unless it stands in a quoted string. One pass: a URL ends at the
/// first `>`, and where there is none no other URL of the line has an end.
fn link(field: &str, links: &Links) -> Option<String> {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    let mut is_quoted = false;
    while let Some(at) = rest.find(['<', '"']) {
        let (before, found) = rest.split_at(at);
        text.push_str(before);
        let (mark, after) = found.split_at(1);
        text.push_str(mark);
        rest = after;
        if mark == "\"" {
            is_quoted = !is_quoted;
        } else if !is_quoted {
            let Some(end) = rest.find('>') else { break };
            let (url, after) = rest.split_at(end);
            text.push_str(&links.map(url).unwrap_or_else(|| url.to_owned()));
            rest = after;
        }
        if text.len() > field.len() + MAX_FIELD_GROWTH {
            return None;
        }
    }
    text.push_str(rest);
    Some(text)
}

/// `5; url=/x`, with the URL quoted or not.
fn refresh(field: &str, links: &Links) -> Option<String> {
    let at = field.find([';', ','])? + 1;
    let (time, rest) = field.split_at(at);
    let trimmed = rest.trim_start();
    let url = match trimmed.get(..3) {
        Some(word) if word.eq_ignore_ascii_case("url") => {
            trimmed[3..].trim_start().strip_prefix('=')?.trim_start()
        }
        _ => trimmed,
    };
    let plain = url.trim_end().trim_matches(['"', '\'']);
    let mapped = links.map(plain)?;
    Some(format!("{time} url={mapped}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::html::links::LinkForm;
    use crate::serve::html::links::tests::links;

    #[test]
    fn a_line_that_is_too_long_or_would_grow_too_much_stays_as_it_is() {
        let is_mapped = |page: &str, count: usize| {
            let line = HeaderValue::try_from("</x>, ".repeat(count)).unwrap();
            let name = HeaderName::from_static("link");
            let mut headers = HeaderMap::from_iter([(name.clone(), line.clone())]);
            map(&mut headers, &links(page, LinkForm::Relative));
            headers[name] != line
        };
        assert!(is_mapped("/a", MAX_FIELD / 6));
        assert!(!is_mapped("/a", MAX_FIELD / 6 + 1));
        let deep = "/a".repeat(150);
        assert!(is_mapped(&deep, 100), "it grows by 45 KB");
        assert!(!is_mapped(&deep, 200));
    }

    #[test]
    fn what_leads_into_the_target_becomes_relative_and_nothing_else_changes() {
        let links = links("/a/b", LinkForm::Relative);
        for (name, sent, expected) in [
            ("content-location", "/x", "../x"),
            ("content-location", "x", "x"),
            ("sourcemap", "/x.map", "../x.map"),
            (
                "link",
                "</x.css>; rel=preload, <https://cdn.example/y>; rel=\"a<b\", </z>",
                "<../x.css>; rel=preload, <https://cdn.example/y>; rel=\"a<b\", <../z>",
            ),
            ("link", "<x", "<x"),
            ("refresh", "5; url=/x", "5; url=../x"),
            ("refresh", "0;URL='http://web.demo.svc/x'", "0; url=../x"),
            ("refresh", "3", "3"),
            (
                "refresh",
                "0; url=https://elsewhere.example/",
                "0; url=https://elsewhere.example/",
            ),
            (
                "content-security-policy",
                "report-uri /csp",
                " report-uri ../csp",
            ),
            ("x-other", "/x", "/x"),
        ] {
            let name = HeaderName::from_static(name);
            let mut headers =
                HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(sent))]);
            map(&mut headers, &links);
            assert_eq!(
                headers[name].to_str().unwrap().trim(),
                expected.trim(),
                "{sent}"
            );
        }
    }
}

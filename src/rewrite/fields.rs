//! Header fields besides `Location` that hold URLs: `Content-Location`, `Link`, `Refresh`, `SourceMap`, and where a
//! `Content-Security-Policy` reports to. What leads into the target is made relative, as everywhere.
//!
//! RFC 9110 section 8.7, RFC 8288 section 3; `Refresh` as the HTML standard reads it.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::link::Links;
use super::policy;

const CONTENT_LOCATION: HeaderName = HeaderName::from_static("content-location");
const LINK: HeaderName = HeaderName::from_static("link");
const REFRESH: HeaderName = HeaderName::from_static("refresh");
const SOURCE_MAP: HeaderName = HeaderName::from_static("sourcemap");

/// Whether a field is one of these, or `Location`.
pub(super) fn holds_urls(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "location"
            | "content-location"
            | "sourcemap"
            | "link"
            | "refresh"
            | "content-security-policy"
            | "content-security-policy-report-only"
    )
}

/// Maps the URLs of these fields.
pub(super) fn rewrite(headers: &mut HeaderMap, links: &Links) {
    change(headers, &CONTENT_LOCATION, |url| links.map(url));
    change(headers, &SOURCE_MAP, |url| links.map(url));
    change(headers, &LINK, |field| link(field, links));
    change(headers, &REFRESH, |field| refresh(field, links));
    policy::map_reports(headers, &|url| links.map(url));
}

fn change(headers: &mut HeaderMap, name: &HeaderName, map: impl Fn(&str) -> Option<String>) {
    if !headers.contains_key(name) {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
    headers.remove(name);
    for line in lines {
        let mapped = line.to_str().ok().and_then(&map);
        let mapped = mapped.and_then(|text| HeaderValue::try_from(text).ok());
        headers.append(name, mapped.unwrap_or(line));
    }
}

/// `<url>; rel=x, <url>; rel=y`: a `<` begins a URL unless it stands in a quoted string.
fn link(field: &str, links: &Links) -> Option<String> {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    let mut is_quoted = false;
    while let Some(at) = rest.find(['<', '"']) {
        text.push_str(&rest[..=at]);
        let found = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        if found == b'"' {
            is_quoted = !is_quoted;
        } else if !is_quoted && let Some(end) = rest.find('>') {
            let (url, after) = rest.split_at(end);
            text.push_str(&links.map(url).unwrap_or_else(|| url.to_owned()));
            rest = after;
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
    use crate::rewrite::link::Form;
    use crate::rewrite::link::tests::{asked, endpoint};

    #[test]
    fn what_leads_into_the_target_becomes_relative_and_nothing_else_changes() {
        let links = Links::new(&asked("/a/b"), &endpoint(), Form::Relative);
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
            rewrite(&mut headers, &links);
            assert_eq!(
                headers[name].to_str().unwrap().trim(),
                expected.trim(),
                "{sent}"
            );
        }
    }
}

//! Pages, style sheets, lists of images and manifests: another parser sees the same, but for the URLs, and each URL
//! leads to the same place as before, as the `url` crate resolves it. Cut anywhere, the same bytes come out.
//!
//! The first byte of an input of [`html`] and [`css`] says where it is cut.

use cssparser::{ParseError, Parser, ParserInput, Token};
use serde_json::Value;
use url::{Position, Url};

use super::constructs::{in_pieces, options};
use super::tree::tree;
use crate::fuzz::{joined, not_counted};
use crate::serve::html::charset::Charset;
use crate::serve::html::css;
use crate::serve::html::links::LinkForm;
use crate::serve::html::links::tests::links;
use crate::serve::html::manifest;
use crate::serve::response::tests::fuzz::{has_drive, is_backend, leads_the_same};

/// The page that [`options`] are for.
const PAGE: &str = "/app/page";

/// Longer pages are cut here: the other parser is slow with some.
const MAX_PAGE: usize = 4096;

/// Whether two URLs of the page lead to the same place, the target's host aside.
fn same_target(before: &str, after: &str) -> bool {
    let page = Url::parse(&format!("http://web.demo.svc{PAGE}")).unwrap();
    match (joined(&page, before), joined(&page, after)) {
        (Ok(before), Ok(after)) => {
            before == after
                || (is_backend(&before)
                    && is_backend(&after)
                    && before[Position::BeforePath..] == after[Position::BeforePath..])
        }
        _ => false,
    }
}

/// What stands in a rewritten value as a reference, as in `&#39;`.
const WRITTEN_AS_REFERENCES: [char; 7] = ['"', '\'', '<', '>', '`', '=', ' '];

/// Attributes in which white space ends a URL, and with it a line end.
const SPACED: [&str; 4] = ["@srcset", "@imagesrcset", "@ping", "@archive"];

/// Whether two texts are the same but for URLs in them, which [`tree`] shows as before, though in a shorter form.
fn same_but_for_urls(name: &str, before: &str, after: &str) -> bool {
    let joined = |text: &str| {
        // Elsewhere, line ends within a URL are no part of it.
        let text = match SPACED.contains(&name) {
            true => text.to_owned(),
            false => text.replace(['\n', '\r'], "").replace("\\n", ""),
        };
        // Where markup is text, references are still as they are written.
        WRITTEN_AS_REFERENCES.iter().fold(text, |text, sign| {
            text.replace(&format!("&#{};", u32::from(*sign)), &sign.to_string())
        })
    };
    let (before, after) = (&*joined(before), &*joined(after));
    // A URL of a list may have any sign in it but the white space that ends it.
    same_in_parts(before, after, &["\t\n\x0c\r \"'()<>=,;|{}"])
        || same_in_parts(before, after, &["\t\n\x0c\r ", ",", "\"'()<>=;|{}"])
}

/// Whether two texts are the same but for URLs, or else their parts are, divided by one group of signs after another.
fn same_in_parts(before: &str, after: &str, signs: &[&str]) -> bool {
    let same = before == after || same_target(before, after) || has_drive(before);
    let in_parts = |(signs, further): (&&str, &[&str])| {
        let parts = |text| str::split(text, |one| signs.contains(one));
        parts(before).count() == parts(after).count()
            && (parts(before).zip(parts(after)))
                .all(|(before, after)| same_in_parts(before, after, further))
    };
    same || signs.split_first().is_some_and(in_parts)
}

/// Where the input is cut, and the rest of it.
fn cut(input: &[u8]) -> Option<(usize, &[u8])> {
    let (size, rest) = input.split_first()?;
    Some((usize::from(*size) % 64 + 1, rest))
}

pub(crate) fn html(input: &[u8]) {
    let Some((size, page)) = cut(input) else {
        return;
    };
    let page = &page[..page.len().min(MAX_PAGE)];
    let whole = in_pieces(options(), page, usize::MAX);
    let pieces = in_pieces(options(), page, size);
    let text = String::from_utf8_lossy;
    assert_eq!(text(&pieces), text(&whole), "in pieces of {size}");
    not_counted(|| another_parser_sees_the_same(page, &whole));
}

fn another_parser_sees_the_same(page: &[u8], rewritten: &[u8]) {
    let small = page.to_ascii_lowercase();
    let has = |part: &&str| {
        small
            .windows(part.len())
            .any(|seen| seen == part.as_bytes())
    };
    // Only a parser with a whole tree knows where text begins in these (see the front page of `page`), and links are
    // relative to a base.
    if ["svg", "math", "frameset", "<base"].iter().any(has) {
        return;
    }
    // A URL with escapes or tabs is written anew, so it is not known what it was. A NUL is another character to HTML,
    // and none to who reads URLs.
    if page.contains(&0)
        || page.contains(&b'\\')
        || page.contains(&b'\t')
        || has(&".././")
        || has(&"../.&#")
    {
        return;
    }
    let (before, after) = (tree(page), tree(rewritten));
    assert_eq!(before.len(), after.len(), "{before:#?}\n{after:#?}");
    for (before, after) in before.iter().zip(&after) {
        let is_same = before == after
            || match (before.split_once(' '), after.split_once(' ')) {
                // What it is the hash of may change.
                (Some(("@integrity", _)), Some(("@integrity", ""))) => true,
                (Some((name, before)), Some((same_name, after))) if name.starts_with('@') => {
                    name == same_name && same_but_for_urls(name, before, after)
                }
                _ => before.contains("urls ") && same_but_for_urls("", before, after),
            };
        assert!(is_same, "{before}\n{after}");
    }
}

pub(crate) fn css(input: &[u8]) {
    let Some((size, sheet)) = cut(input) else {
        return;
    };
    let whole = css::tests::in_pieces(sheet, Charset::Ascii, usize::MAX);
    let pieces = css::tests::in_pieces(sheet, Charset::Ascii, size);
    let text = String::from_utf8_lossy;
    assert_eq!(text(&pieces), text(&whole), "in pieces of {size}");
    // A NUL is another character to CSS, and none to who reads URLs; so is a backslash at the end.
    if sheet.contains(&0) || sheet.ends_with(b"\\") {
        return;
    }
    if let (Ok(before), Ok(after)) = (std::str::from_utf8(sheet), std::str::from_utf8(&whole)) {
        not_counted(|| another_tokenizer_sees_the_same(before, after));
    }
}

/// A token: what it is, and the text of a URL or a string.
type TagView = (String, Option<String>);

fn another_tokenizer_sees_the_same(before: &str, after: &str) {
    let (before, after) = (tokens(before), tokens(after));
    assert_eq!(before.len(), after.len(), "{before:?}\n{after:?}");
    for ((kind, before), (kind_after, after)) in before.iter().zip(&after) {
        assert_eq!(kind, kind_after);
        let is_same = match (before, after) {
            (Some(before), Some(after)) => {
                let trimmed = |url: &str| decoded(url.trim_matches(|one: char| one <= ' '));
                before == after || trimmed(after) == [b".", &*trimmed(before)].concat()
            }
            (before, after) => before == after,
        };
        assert!(is_same, "{before:?}\n{after:?}");
    }
}

fn decoded(url: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(url).collect()
}

fn tokens(sheet: &str) -> Vec<TagView> {
    let mut input = ParserInput::new(sheet);
    let mut found = Vec::new();
    add_tokens(&mut Parser::new(&mut input), &mut found, 0);
    found
}

fn add_tokens(parser: &mut Parser<'_, '_>, found: &mut Vec<TagView>, depth: usize) {
    while let Ok(token) = parser.next_including_whitespace_and_comments() {
        let token = token.clone();
        found.push(match &token {
            Token::UnquotedUrl(url) => ("url".to_owned(), Some(url.to_string())),
            Token::QuotedString(text) => ("string".to_owned(), Some(text.to_string())),
            // What is in a bad one is nobody's URL, whatever it is.
            Token::BadUrl(_) => ("bad url".to_owned(), None),
            Token::BadString(_) => ("bad string".to_owned(), None),
            other => (format!("{other:?}"), None),
        });
        let opens = matches!(
            token,
            Token::Function(_)
                | Token::ParenthesisBlock
                | Token::SquareBracketBlock
                | Token::CurlyBracketBlock
        );
        if opens && depth < 200 {
            let _ = parser.parse_nested_block(|inner| {
                add_tokens(inner, found, depth + 1);
                Ok::<(), ParseError<'_, ()>>(())
            });
        }
    }
}

pub(crate) fn srcset(input: &[u8]) {
    let Ok(value) = std::str::from_utf8(input) else {
        return;
    };
    let value = value.replace(['&', '\'', '\0', '\r', '<'], "_");
    if value.is_empty() || value.matches(',').count() > 1000 {
        return;
    }
    for (head, tail, read) in [
        (
            "<img srcset='",
            "'>",
            images as fn(&str) -> Vec<Vec<String>>,
        ),
        ("<meta http-equiv=refresh content='", "'>", refresh),
    ] {
        let page = format!("{head}{value}{tail}");
        let rewritten = in_pieces(options(), page.as_bytes(), usize::MAX);
        let rewritten = String::from_utf8(rewritten).expect("it was text");
        let inner = rewritten.strip_prefix(head).expect("the head stays");
        let after = inner.strip_suffix(tail).expect("the tail stays");
        // What is put in between the quotes is written with references.
        let after = without_references(after);
        let (before, after) = (read(&value), read(&after));
        assert_eq!(before.len(), after.len(), "{before:?}\n{after:?}");
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before[1..], after[1..]);
            assert!(
                leads_the_same(PAGE, &before[0], &after[0]),
                "{before:?}\n{after:?}"
            );
        }
    }
}

fn without_references(text: &str) -> String {
    let mut parts = text.split("&#");
    let mut read = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_once(';').expect("a reference has an end");
        read.push(char::from(
            number.parse::<u8>().expect("it is of a character"),
        ));
        read.push_str(rest);
    }
    read
}

const SPACES: [char; 5] = ['\t', '\n', '\x0c', '\r', ' '];

/// "Parse a srcset attribute" of the HTML standard: each URL and its descriptors.
fn images(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|one| SPACES.contains(&one) || one == ',');
        if rest.is_empty() {
            return found;
        }
        let end = rest.find(SPACES).unwrap_or(rest.len());
        let (url, after) = rest.split_at(end);
        rest = after;
        if url.ends_with(',') {
            found.push(vec![url.trim_end_matches(',').to_owned()]);
            continue;
        }
        let mut image = vec![url.to_owned(), String::new()];
        let mut is_in_parens = false;
        let mut end = rest.len();
        for (at, one) in rest.char_indices() {
            match one {
                '(' => is_in_parens = true,
                ')' => is_in_parens = false,
                ',' if !is_in_parens => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        image[1] = rest[..end].to_owned();
        rest = rest.get(end + 1..).unwrap_or_default();
        found.push(image);
    }
}

/// "Shared declarative refresh steps" of the HTML standard: the URL, if it refreshes at all.
fn refresh(text: &str) -> Vec<Vec<String>> {
    let url = || {
        let trimmed = |text: &'_ str| text.trim_start_matches(SPACES).to_owned();
        let rest = trimmed(text);
        let digits = rest.trim_start_matches(|one: char| one.is_ascii_digit());
        if digits.len() == rest.len() && !rest.starts_with('.') {
            return None;
        }
        let rest = digits.trim_start_matches(|one: char| one.is_ascii_digit() || one == '.');
        if !rest.starts_with([';', ',']) && !rest.starts_with(SPACES) {
            return None;
        }
        let rest = trimmed(rest);
        let rest = trimmed(rest.strip_prefix([';', ',']).unwrap_or(&rest));
        let mut url = rest.clone();
        if rest
            .get(..3)
            .is_some_and(|word| word.eq_ignore_ascii_case("url"))
            && let Some(after) = trimmed(&rest[3..]).strip_prefix('=')
        {
            url = trimmed(after);
        }
        Some(match url.strip_prefix(['"', '\'']) {
            Some(quoted) => {
                let quote = url.chars().next()?;
                quoted.split(quote).next()?.to_owned()
            }
            None => url,
        })
    };
    url().map(|url| vec![url]).into_iter().collect()
}

pub(crate) fn manifests(input: &[u8]) {
    let now = manifest::mapped(input, &links(PAGE, LinkForm::Relative));
    let before = serde_json::from_slice::<Value>(input);
    let Some(now) = now else {
        let is_deep = input.iter().filter(|byte| b"[{".contains(byte)).count() >= 64;
        assert!(before.is_err() || is_deep, "it is a manifest");
        return;
    };
    // Numbers that are too large for anybody are skipped here and refused there.
    let (Ok(before), Ok(after)) = (before, serde_json::from_slice::<Value>(&now)) else {
        assert!(serde_json::from_slice::<Value>(&now).is_err());
        return;
    };
    not_counted(|| same_members(&before, &after, &mut Vec::new()));
}

/// The members of the standard whose values are URLs, with `[]` for a list on the way.
const URLS: [&str; 17] = [
    "start_url",
    "scope",
    "icons.[].src",
    "screenshots.[].src",
    "shortcuts.[].url",
    "shortcuts.[].icons.[].src",
    "share_target.action",
    "share_target.new_note_url",
    "note_taking.action",
    "note_taking.new_note_url",
    "protocol_handlers.[].url",
    "file_handlers.[].action",
    "file_handlers.[].icons.[].src",
    "related_applications.[].url",
    "serviceworker.src",
    "serviceworker.scope",
    "id",
];

fn holds_url(path: &[String]) -> bool {
    URLS.iter().any(|url| {
        let keys = url.split('.').map(|key| key.trim_matches(['[', ']']));
        keys.eq(path.iter().map(String::as_str))
    })
}

fn same_members(before: &Value, after: &Value, path: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            assert_eq!(
                before.keys().collect::<Vec<_>>(),
                after.keys().collect::<Vec<_>>()
            );
            for (key, value) in before {
                path.push(key.clone());
                same_members(value, &after[key], path);
                path.pop();
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            assert_eq!(before.len(), after.len());
            path.push(String::new());
            for (before, after) in before.iter().zip(after) {
                same_members(before, after, path);
            }
            path.pop();
        }
        (Value::String(before), Value::String(after)) if holds_url(path) => {
            assert!(
                leads_the_same(PAGE, before, after),
                "{before:?} -> {after:?}"
            );
        }
        (before, after) => assert_eq!(before, after, "{path:?}"),
    }
}

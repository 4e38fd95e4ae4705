//! What strangers' input costs. The tables of the product say what is read, so a new header or attribute is measured here
//! without anybody adding it.
//!
//! Measured is the CPU time of this thread, not the time of day. In a build without optimization absolute times say little, so
//! what is held is that the cost grows with the input and no faster: sixteen times the input may take four times that. What
//! is quadratic takes four times what is allowed.

use std::time::Duration;

use super::page::cost::{attributes, piecewise};
use super::*;

const SMALL: usize = 16 * 1024;
const LARGE: usize = 16 * SMALL;

/// What a clock that ticks and a first call are allowed besides.
const NOISE: Duration = Duration::from_millis(60);

/// Each is repeated until it fills a value: single bytes that mean something somewhere, and pairs that send readers looking
/// for an end that does not come.
const NASTY: [&str; 48] = [
    "<",
    ">",
    "\"",
    "'",
    ",",
    ";",
    "=",
    "/",
    "\\",
    "(",
    ")",
    "&",
    "%",
    "?",
    "#",
    "*",
    "-",
    ".",
    ":",
    "@",
    "[",
    "{",
    " ",
    "\t",
    "a",
    "0",
    "</",
    "<>",
    "\"<",
    "<\"",
    ",<",
    "/,",
    "/ ",
    "//",
    "\\/",
    "../",
    "%2e",
    "&#",
    "&a",
    "&amp;",
    "url(",
    "url(/)",
    "\\a",
    "/*",
    "a=",
    ";a=",
    "report-uri /;",
    "Basic a=\"",
];

/// CPU time of this thread.
fn cpu() -> Duration {
    let spent =
        std::io::read_to_string(std::fs::File::open("/proc/thread-self/schedstat").unwrap());
    let spent = spent.unwrap();
    let nanoseconds = spent.split_ascii_whitespace().next().unwrap();
    Duration::from_nanos(nanoseconds.parse().unwrap())
}

fn cost_of(work: impl FnOnce()) -> Duration {
    let before = cpu();
    work();
    cpu().saturating_sub(before)
}

fn assert_grows_with_input(what: &str, work: impl Fn(usize)) {
    let small = cost_of(|| work(SMALL));
    let large = cost_of(|| work(LARGE));
    assert!(
        large <= small * 64 + NOISE,
        "{what}: {SMALL} bytes take {small:?}, {LARGE} bytes {large:?}"
    );
}

fn filled(pattern: &str, length: usize) -> String {
    pattern.repeat(length / pattern.len())
}

#[test]
fn a_header_costs_no_more_than_its_length() {
    let read = [
        "set-cookie",
        "www-authenticate",
        "content-type",
        "content-encoding",
        "etag",
        "vary",
    ];
    let names = fields::FIELDS.iter().map(|(name, _)| *name);
    let names = names.chain(crate::forward::ORIGIN_HEADERS).chain(read);
    for name in names {
        for pattern in NASTY {
            for (status, via) in [(401, BEHIND), (302, BEHIND), (302, DIRECT)] {
                let asked = Asked::of(via, &[("sec-fetch-mode", "cors")]);
                assert_grows_with_input(&format!("{name}: {pattern}"), |length| {
                    let value = filled(pattern, length);
                    let Ok(value) = HeaderValue::try_from(value) else {
                        return;
                    };
                    let mut response = answer(status, &[], "");
                    response.headers_mut().insert(name, value);
                    drop(asked.answered(response));
                });
            }
        }
    }
}

#[test]
fn many_lines_of_a_header_cost_no_more_than_their_number() {
    for name in [
        "set-cookie",
        "link",
        "content-security-policy",
        "content-type",
        "www-authenticate",
    ] {
        assert_grows_with_input(name, |length| {
            let mut response = answer(401, &[], "");
            for at in 0..length / 16 {
                let value = HeaderValue::try_from(format!("a{at}=</>;b")).unwrap();
                response.headers_mut().append(name, value);
            }
            let asked = Asked::of(DIRECT, &[("sec-fetch-mode", "cors")]);
            drop(asked.answered(response));
        });
    }
}

#[test]
fn an_attribute_costs_no_more_than_its_length() {
    for (element, attribute) in attributes() {
        for pattern in NASTY {
            let quote = if pattern.contains('"') { '\'' } else { '"' };
            assert_grows_with_input(&format!("{element} {attribute}: {pattern}"), |length| {
                let value = filled(pattern, length / 4);
                piecewise(&format!("<{element} {attribute}={quote}{value}{quote}>"));
            });
        }
    }
}

#[test]
fn a_tag_costs_no_more_than_its_length() {
    for tag in [
        "<meta content=1 content=1 content=1 ",
        "<meta http-equiv=refresh content=0;/ content=0;/ ",
        "<link integrity=x integrity=x href=/ href=/ rel=a rel=a ",
        "<a href=/ href=/ href=/ ",
        "<a a a a a a a a ",
        "<a / / / / / / / ",
        "<a =\"=\"=\"= ",
    ] {
        let (name, attributes) = tag.split_once(' ').unwrap();
        assert_grows_with_input(tag, |length| {
            piecewise(&format!("{name} {}>", filled(attributes, length)));
        });
    }
}

#[test]
fn a_page_costs_no_more_than_its_length() {
    for pattern in NASTY.into_iter().chain([
        "<a href=/>",
        "<style>url(/)</style>",
        "<p style=a:url(/)>",
        "<iframe srcdoc='<a href=/>'>",
        "<svg>",
        "</svg>",
        "<script type=importmap>{\"imports\":{\"/\":\"/\"}}</script>",
        "<noscript><a href=/></noscript>",
        "<base href=/a/>",
        "<!--",
        "<![CDATA[",
        "<meta charset=x>",
        "<title>",
        "<template>",
    ]) {
        assert_grows_with_input(pattern, |length| piecewise(&filled(pattern, length)));
    }
}

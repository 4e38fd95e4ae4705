//! Whole pages, and the headers that hold them in.
//!
//! <https://www.w3.org/TR/CSP3/>: nothing is loaded but what the page itself names on its own origin, nothing inline runs, and
//! nobody frames it.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};
use percent_encoding::percent_decode_str;

use super::html::Html;
use super::list::{self, Search};
use super::notices;
use crate::local::problem::Problem;
use crate::local::start_page::model::snapshot::Snapshot;
use crate::local::start_page::start::{Facts, WayFact};
use crate::protocol::status::Response;

const PAGE: &str = include_str!("page.html");
const PROBLEM: &str = include_str!("problem.html");
pub(in crate::local::start_page) const STYLE: &str = include_str!("style.css");

const START_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// For pages at any origin: they load nothing, and their one style sheet is known by its hash.
static PROBLEM_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("base64 is a header's value")
});

const CLOSED: [(HeaderName, &str); 7] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Everything that a start page is made of.
#[derive(Debug, Clone, Copy)]
pub(in crate::local::start_page) struct View<'a> {
    pub(in crate::local::start_page) snapshot: &'a Snapshot,
    pub(in crate::local::start_page) facts: &'a Facts,
    pub(in crate::local::start_page) way: &'a WayFact,
    /// As the browser named this server.
    pub(in crate::local::start_page) host: &'a str,
    pub(in crate::local::start_page) search: &'a str,
}

/// A page that loads nothing, such as that of a problem.
pub(in crate::local) fn html(page: String) -> Response {
    respond(page, PROBLEM_POLICY.clone())
}

/// The page of a problem.
pub(in crate::local) fn problem(problem: &Problem) -> String {
    let advice = problem.advice.iter().map(notices::advice);
    let code = problem.status.code;
    let page = Html::fill(
        PROBLEM,
        &[
            ("title", Html::text(problem.title)),
            ("style", Html::fixed(STYLE)),
            ("sentence", Html::text(&problem.status.message)),
            ("advice", advice.collect()),
            ("status", Html::text(&code.to_string())),
        ],
    );
    page.into_string()
}

pub(in crate::local::start_page) fn start_page(view: &View<'_>) -> Response {
    respond(markup(view), HeaderValue::from_static(START_POLICY))
}

/// What is searched, from a form's query: the last `search` in it.
pub(in crate::local::start_page) fn search(query: Option<&str>) -> String {
    let mut pairs = query.unwrap_or_default().rsplit('&');
    let search = pairs.find_map(|pair| pair.strip_prefix("search="));
    let search = search.unwrap_or_default().replace('+', " ");
    percent_decode_str(&search).decode_utf8_lossy().into_owned()
}

/// The port that this server is asked at, with its colon, or nothing.
pub(in crate::local::start_page) fn port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon)
            if host.len() > colon + 1
                && host[colon + 1..].bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            &host[colon..]
        }
        _ => "",
    }
}

fn markup(view: &View<'_>) -> String {
    let search = Search::of(view.search);
    let port = port(view.host);
    let name = view.facts.context.as_deref();
    let name = name.unwrap_or(&view.facts.server);
    let sections = list::sections(view.snapshot, &search, port).into_iter();
    let page = Html::fill(
        PAGE,
        &[
            ("title", Html::text(&format!("{name} · Throughway"))),
            ("heading", Html::text(name)),
            ("server", Html::text(&view.facts.server)),
            ("search", Html::text(view.search)),
            (
                "summary",
                Html::text(&list::summary(view.snapshot, &search)),
            ),
            ("notices", notices::notices(view)),
            ("list", sections.map(|section| section.html).collect()),
            ("way", Html::fixed(way(view.way))),
            ("port", Html::text(port)),
        ],
    );
    page.into_string()
}

fn way(way: &WayFact) -> &'static str {
    match way {
        WayFact::Unknown => "throughway local",
        WayFact::Throughway => "throughway local, through the cluster's Throughway",
        WayFact::BuiltIn { .. } => "throughway local, through the cluster's built-in proxy",
    }
}

fn respond(page: String, policy: HeaderValue) -> Response {
    let mut response = Response::new(Body::from(page));
    let headers = response.headers_mut();
    for (name, value) in CLOSED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

//! The start page as a whole document.

use http::HeaderValue;

use super::list::{self, Search};
use super::{PageView, notices};
use crate::local::pages::document::page_with_policy;
use crate::local::pages::html::Html;
use crate::local::targets::mode::ProxyMode;
use crate::protocol::status::Response;

const PAGE: &str = include_str!("page.html");

const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(in crate::local::start_page) fn start_page(view: &PageView<'_>) -> Response {
    page_with_policy(markup(view), HeaderValue::from_static(PAGE_POLICY))
}

/// What is searched, from a form's query: the last `search` in it.
pub(in crate::local::start_page) fn search(query: Option<&str>) -> String {
    // From the end, as a form that was sent twice has its last word there.
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let searches = pairs.filter(|(name, _)| name == "search");
    searches
        .last()
        .map_or_else(String::new, |(_, search)| search.into_owned())
}

fn markup(view: &PageView<'_>) -> String {
    let search = Search::of(view.search);
    let port = view.port();
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
            ("mode", Html::fixed(mode(view.mode))),
            ("port", Html::text(port)),
        ],
    );
    page.into_string()
}

fn mode(mode: &ProxyMode) -> &'static str {
    match mode {
        ProxyMode::Unknown => "throughway local",
        ProxyMode::Throughway(_) => "throughway local, through the cluster's Throughway",
        ProxyMode::BuiltIn { .. } => "throughway local, through the cluster's built-in proxy",
    }
}

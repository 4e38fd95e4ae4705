//! The page helper in a real Chromium, below a plain prefix proxy.

mod constructs;
mod navigations;
mod policies;
mod site;
mod tokens;

use std::path::Path;

use serde_json::Value;
use throughway_testing::browser::{Browser, Tab};

use site::{PREFIX, Page, Site};

/// A page of a site, in a tab.
struct Opened {
    site: Site,
    tab: Tab,
    _browser: Browser,
}

/// Opens a page at `/a/page` that has this after the helper.
async fn open(body: &str) -> Opened {
    open_page(Page {
        path: "/a/page",
        body: body.to_owned(),
        ..Page::default()
    })
    .await
}

/// A browser of its own for each test.
async fn browser(site: &Site) -> Browser {
    let name = site.url("").replace(['/', ':'], "-");
    let profile = format!("{}/page-helper{name}", env!("CARGO_TARGET_TMPDIR"));
    Browser::start(Path::new(&profile)).await
}

async fn open_page(page: Page) -> Opened {
    let frame = Page {
        path: "/frame",
        body: "<script>fetch('/from-the-frame')</script>".to_owned(),
        ..Page::default()
    };
    let path = page.path;
    let site = Site::start(vec![page, frame]).await;
    let browser = browser(&site).await;
    let tab = browser.tab().await;
    tab.goto(&site.url(path)).await;
    Opened {
        site,
        tab,
        _browser: browser,
    }
}

impl Opened {
    /// Runs the body of an async function, which returns this.
    async fn runs(&self, script: &str, expected: impl Into<Value>) {
        let whole = format!("(async (prefix) => {{ {script} }})({PREFIX:?})");
        assert_eq!(self.tab.evaluate(&whole).await, expected.into());
    }

    /// Waits until each of these was asked for inside the target.
    async fn asks(&self, paths: &[&str]) {
        for path in paths {
            self.site.wait_for(path).await;
        }
    }

    /// Nothing left the prefix so far, and nobody complained.
    fn stays_inside(&self) {
        self.requests_stay_inside();
        assert_eq!(self.tab.console_errors(), Vec::<String>::new());
    }

    fn requests_stay_inside(&self) {
        assert_eq!(self.site.left(), Vec::<String>::new());
        let favicon = self.site.outside("/favicon.ico");
        let inside = self.site.inside();
        let is_outside = |url: &String| {
            let is_asked_for = ["http", "ws"].iter().any(|scheme| url.starts_with(scheme));
            is_asked_for && !url.contains(&inside) && *url != favicon
        };
        let outside: Vec<String> = self.tab.requests().into_iter().filter(is_outside).collect();
        assert_eq!(outside, Vec::<String>::new());
    }
}

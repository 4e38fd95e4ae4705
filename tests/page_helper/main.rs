//! The page helper in a real Chromium, below a plain prefix proxy.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets something unexpected ends there"
)]
#![allow(dead_code, reason = "not every helper has a user in every test binary")]
#![allow(unreachable_pub, reason = "helpers are shared between test binaries")]
#![allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's tasks, files and connections are not for tests"
)]

#[path = "../../src/rewrite/page_helper/served.rs"]
mod served;

mod browser;
mod constructs;
mod navigations;
mod policies;
mod site;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use serde_json::Value;

use browser::{Browser, Tab};
use site::{PREFIX, Page, Site};

/// A page of a site, in a tab.
struct Opened {
    site: Site,
    tab: Tab,
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

async fn open_page(page: Page) -> Opened {
    let frame = Page {
        path: "/frame",
        body: "<script>fetch('/from-the-frame')</script>".to_owned(),
        ..Page::default()
    };
    let path = page.path;
    let site = Site::start(vec![page, frame]).await;
    let tab = Browser::shared().tab().await;
    tab.goto(&site.url(path)).await;
    Opened { site, tab }
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
        assert_eq!(self.tab.errors(), Vec::<String>::new());
    }

    fn requests_stay_inside(&self) {
        assert_eq!(self.site.left(), Vec::<String>::new());
        let favicon = self.site.outside("/favicon.ico");
        let mut outside = self.tab.requests_outside(&[&self.site.inside()]);
        outside.retain(|seen| seen.url != favicon);
        assert_eq!(outside, []);
    }
}

#[tokio::test]
async fn the_browser_reports_what_it_does() {
    let tab = Browser::shared().tab().await;
    let page = "<title>hello</title><button onclick='document.title=1'>x</button>\
        <script>fetch('http://127.0.0.1:1/x?y').catch(() => console.error('oh'))</script>";
    let page = BASE64_STANDARD.encode(page);
    tab.goto(&format!("data:text/html;base64,{page}")).await;
    assert_eq!(tab.evaluate("document.title").await, "hello");
    tab.wait_for_request("127.0.0.1:1/x?y").await;
    let outside = tab.requests_outside(&["127.0.0.1:1/y"]);
    assert_eq!(outside.len(), 1, "{outside:?}");
    assert_eq!(outside[0].kind, "Fetch");
    tab.click("button").await;
    tab.wait_for("document.title == '1'").await;
    assert!(
        tab.errors().iter().any(|error| error.contains("oh")),
        "{:?}",
        tab.errors()
    );
}

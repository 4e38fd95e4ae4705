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

#[path = "../support/mod.rs"]
mod support;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use support::browser::Browser;

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

//! How a page goes elsewhere: history, links, forms, windows, frames, and the marks that keep links right meanwhile.

use crate::open;
use crate::site::PREFIX;

#[tokio::test]
async fn history_stays_below_the_prefix_and_marked_links_keep_their_target() {
    let page = open(
        "<body><a id=a href='.././marked'>x</a><a id=r href='relative'>x</a><img id=i src='.././i.svg'>\
        <form id=f action='.././send'></form>",
    )
    .await;
    page.runs(
        "const a = document.getElementById('a'), before = a.getAttribute('href');
        history.replaceState(null, '', '/a/other'); const same = a.outerHTML.includes('.././marked');
        history.pushState(null, '', '/deep/er/page');
        return [before, same, a.getAttribute('href'), new URL(a.href).pathname.slice(prefix.length),
            new URL(document.getElementById('f').action).pathname.slice(prefix.length),
            document.getElementById('i').getAttribute('src'), location.pathname.slice(prefix.length)].join()",
        "/marked,true,/marked,/marked,/send,/i.svg,/deep/er/page",
    )
    .await;
    page.stays_inside();
}

#[tokio::test]
async fn a_base_says_where_the_page_lies() {
    let page = open("<base href='.././app/'><body>").await;
    page.runs(
        "const base = document.querySelector('base'), before = base.getAttribute('href');
        history.pushState(null, '', '/x/y/z'); await fetch('relative');
        return [before, base.getAttribute('href')].map((path) => path.slice(prefix.length)).join()",
        "/app/,/app/",
    )
    .await;
    page.asks(&["/app/relative"]).await;
    page.stays_inside();
}

/// Whatever leads away by `script` ends at `path`.
async fn goes(body: &str, script: &str, path: &str) {
    let page = open(body).await;
    page.tab.evaluate(script).await;
    let condition = format!(
        "location.pathname + location.search === {:?}",
        format!("{PREFIX}{path}")
    );
    page.tab.wait_for(&condition).await;
    page.stays_inside();
}

#[tokio::test]
async fn scripts_that_set_the_location_stay_below_the_prefix() {
    goes("", "location.href = '/login?x=1'; 1", "/login?x=1").await;
    goes(
        "",
        "location.assign('http://web.demo.svc/assigned'); 1",
        "/assigned",
    )
    .await;
    goes("", "location.replace('/replaced'); 1", "/replaced").await;
}

#[tokio::test]
async fn links_and_forms_stay_below_the_prefix() {
    for (markup, act, path) in [
        (
            "<a href='/clicked'>x</a>",
            "querySelector('a').click()",
            "/clicked",
        ),
        (
            "<form action='/sent'><input name='a' value='1'/></form>",
            "forms[0].submit()",
            "/sent?a=1",
        ),
        (
            "<form action='/x' method='post'><button formaction='/posted'>x</button></form>",
            "querySelector('button').click()",
            "/posted",
        ),
    ] {
        goes(
            "<body>",
            &format!("{}; document.{act}; 1", unseen(markup)),
            path,
        )
        .await;
    }
}

/// Puts markup into the page by a way that the helper leaves alone.
fn unseen(markup: &str) -> String {
    let xml = format!("<p xmlns='http://www.w3.org/1999/xhtml'>{markup}</p>");
    format!(
        "document.body.append(new DOMParser().parseFromString({xml:?}, 'text/xml').documentElement)"
    )
}

#[tokio::test]
async fn windows_stay_below_the_prefix() {
    let page = open("<body>").await;
    let link = unseen("<a target='_blank' href='/tab.html'>x</a>");
    page.runs(
        &format!("{link}; document.querySelector('a').click(); return 1"),
        1,
    )
    .await;
    page.asks(&["/tab.html"]).await;
    page.runs("return window.open('/popup.html') !== null", true)
        .await;
    page.asks(&["/popup.html"]).await;
    page.stays_inside();
}

/// An address in full is meant as it stands, where it is another target of the same server.
#[tokio::test]
async fn another_target_in_full_is_left_alone() {
    let other = PREFIX.replace("web:80", "other:80");
    let page = open("<body>").await;
    page.runs(
        &format!(
            "const full = location.origin + {other:?} + '/x'; const a = document.createElement('a'); a.href = full;
            const own = document.createElement('a'); own.href = {other:?};
            return [a.getAttribute('href') === full, new URL(own.href).pathname === prefix + {other:?}].join()"
        ),
        "true,true",
    )
    .await;
    page.stays_inside();
}

#[tokio::test]
async fn frames_with_a_helper_of_their_own_stay_below_the_prefix() {
    let page = open("<body><iframe src='.././frame'></iframe>").await;
    page.asks(&["/from-the-frame"]).await;
    page.stays_inside();
}

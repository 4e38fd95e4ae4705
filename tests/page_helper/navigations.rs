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
    let raw = "const t = document.createElement('template').content.ownerDocument;
        const clone = (text) => document.body.append(...new DOMParser().parseFromString(text, 'text/html').body.children);";
    goes(
        "<body>",
        &format!("{raw} clone('<a href=/clicked>x</a>'); document.querySelector('a').click(); 1"),
        "/clicked",
    )
    .await;
    goes(
        "<body>",
        &format!("{raw} clone('<form action=/sent><input name=a value=1></form>'); document.querySelector('form').submit(); 1"),
        "/sent?a=1",
    )
    .await;
    goes(
        "<body>",
        &format!("{raw} clone('<form action=/x method=post><button formaction=/posted>x</button></form>'); document.querySelector('button').click(); 1"),
        "/posted",
    )
    .await;
}

#[tokio::test]
async fn windows_stay_below_the_prefix() {
    let page = open("<body><a href='/never' target=_blank>x</a>").await;
    page.runs(
        "document.body.append(...new DOMParser().parseFromString('<a id=new target=_blank href=/tab.html>x</a>', 'text/html').body.children);
        document.getElementById('new').click(); return 1",
        1,
    )
    .await;
    page.asks(&["/tab.html"]).await;
    page.runs("return window.open('/popup.html') !== null", true)
        .await;
    page.asks(&["/tab.html", "/popup.html"]).await;
    page.stays_inside();
}

#[tokio::test]
async fn frames_with_a_helper_of_their_own_stay_below_the_prefix() {
    let page = open("<body><iframe src='.././frame'></iframe>").await;
    page.asks(&["/from-the-frame"]).await;
    page.stays_inside();
}

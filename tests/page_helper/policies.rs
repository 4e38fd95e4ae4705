//! Pages that make it hard: policies, trusted types, a helper that runs twice or has nothing to do, a worker of the
//! page's.

use crate::site::{PREFIX, Page, Site, helper, tag};
use crate::{Opened, open, open_page};

const NONCE_POLICY: &str =
    "default-src 'none'; script-src 'nonce-abc'; connect-src 'self'; img-src 'self'";
const TRUSTED: &str = "require-trusted-types-for 'script'; trusted-types throughway app";

async fn page_with(policy: &'static str, body: &str) -> Opened {
    open_page(Page {
        path: "/a/page",
        body: body.to_owned(),
        headers: vec![("content-security-policy", policy)],
        tag: Some(tag("/a/page", "abc")),
    })
    .await
}

#[tokio::test]
async fn a_strict_policy_with_a_nonce_is_kept() {
    let page = page_with(
        NONCE_POLICY,
        "<body><script type=module nonce=abc>import '/module.js'; await fetch('/api');</script>",
    )
    .await;
    page.asks(&["/module.js", "/api"]).await;
    page.requests_stay_inside();
}

#[tokio::test]
async fn trusted_objects_stay_trusted_and_plain_strings_stay_refused() {
    let page = page_with(
        TRUSTED,
        "<body><div></div><script type=module>import '/module.js'</script>",
    )
    .await;
    page.runs(
        "const same = (text) => text;
        const policy = trustedTypes.createPolicy('app', {createHTML: same, createScriptURL: same});
        const script = document.createElement('script'); script.src = policy.createScriptURL('/trusted.js'); document.body.append(script);
        const other = document.createElement('script'); other.setAttribute('src', policy.createScriptURL('/attribute.js')); document.body.append(other);
        new Worker(policy.createScriptURL('/worker.js'));
        document.querySelector('div').innerHTML = policy.createHTML('<img src=/html.svg>');
        const image = new Image(); image.src = '/plain.svg';
        try { script.src = '/x.js'; return 'allowed' } catch (refused) { return refused.name }",
        "TypeError",
    )
    .await;
    page.asks(&[
        "/module.js",
        "/trusted.js",
        "/attribute.js",
        "/worker.js",
        "/html.svg",
        "/plain.svg",
    ])
    .await;
    page.requests_stay_inside();
}

#[tokio::test]
async fn a_helper_that_runs_twice_maps_once() {
    let body = format!(
        "{}<body><script>{}</script>",
        tag("/a/page", ""),
        helper().await
    );
    let page = open(&body).await;
    page.runs(
        "await fetch('/api'); const a = document.createElement('a'); a.href = '/x';
        return [a.getAttribute('href'), new URL(a.href).pathname === prefix + '/x'].join()",
        "/x,true",
    )
    .await;
    page.asks(&["/api"]).await;
    page.stays_inside();
}

#[tokio::test]
async fn an_inline_helper_works_as_the_other_does() {
    let page = open_page(Page {
        path: "/a/page",
        tag: Some(format!(
            "<script data-prefix='.././.throughway/page.js'>{}</script>",
            helper().await
        )),
        ..Page::default()
    })
    .await;
    page.runs("await fetch('/api'); return document.scripts.length", 0)
        .await;
    page.asks(&["/api"]).await;
    page.stays_inside();
}

#[tokio::test]
async fn without_a_prefix_nothing_is_touched() {
    let site = Site::start(Vec::new()).await;
    let browser = crate::browser(&site).await;
    let tab = browser.tab().await;
    tab.goto(&site.outside("/free/text")).await;
    let untouched = format!(
        "(async () => {{ const plain = [fetch, WebSocket, history.pushState, Element.prototype.setAttribute];
        const script = document.createElement('script'); script.dataset.prefix = '/.throughway/page.js';
        script.text = {:?}; document.documentElement.append(script);
        return [fetch, WebSocket, history.pushState, Element.prototype.setAttribute].every((now, at) => now === plain[at]) }})()",
        helper().await
    );
    assert_eq!(tab.evaluate(&untouched).await, true);
}

#[tokio::test]
async fn guarded_functions_look_like_the_plain_ones() {
    let page = open("<iframe></iframe>").await;
    page.runs(
        "const plain = document.querySelector('iframe').contentWindow, odd = [];
        for (const path of ['fetch', 'WebSocket', 'Request', 'open', 'EventSource', 'XMLHttpRequest.prototype.open',
            'Element.prototype.setAttribute', 'History.prototype.pushState', 'Document.prototype.write']) {
            const [here, there] = [window, plain].map((from) => path.split('.').reduce((at, name) => at[name], from));
            for (const name of ['name', 'length']) if (here[name] !== there[name]) odd.push(path + '.' + name);
            if (!Function.prototype.toString.call(here).includes('[native code]')) odd.push(path);
        }
        class Own extends WebSocket {} const own = new Own('ws://' + location.host + '/ws');
        if (!(own instanceof Own && own instanceof WebSocket)) odd.push('subclass');
        for (const bad of [() => new WebSocket(), () => fetch.call(1, '/x'), () => WebSocket('x'), () => history.pushState()]) {
            try { (await bad()) ; odd.push(String(bad)) } catch (thrown) { if (!(thrown instanceof TypeError)) odd.push(String(thrown)) }
        }
        return odd.join()",
        "",
    )
    .await;
    page.requests_stay_inside();
}

#[tokio::test]
async fn the_worker_catches_what_no_script_sees() {
    let page = open("<body>").await;
    page.tab
        .wait_for("navigator.serviceWorker.controller")
        .await;
    page.runs(
        "const blob = new Blob([\"importScripts(self.name + '/imported.js')\"], {type: 'text/javascript'});
        new Worker(URL.createObjectURL(blob), {name: location.origin});
        const host = document.createElement('div'); document.body.append(host);
        const shadow = host.attachShadow({mode: 'closed'}); const style = document.createElement('style');
        style.append(':host { display: block; width: 9px; height: 9px; background: url(/w/shadow.svg) }'); shadow.append(style);
        return (await navigator.serviceWorker.getRegistration()).scope === location.origin + prefix + '/'",
        true,
    )
    .await;
    page.asks(&["/w/shadow.svg", "/imported.js"]).await;
    assert_eq!(page.site.left(), Vec::<String>::new());
}

#[tokio::test]
async fn the_worker_gives_way_to_one_of_the_page() {
    let page = open(
        "<script>window.own = navigator.serviceWorker.register('/sw.js', {scope: '/'})</script>",
    )
    .await;
    page.runs(
        "const own = await window.own; await new Promise((next) => setTimeout(next));
        return [own.scope === location.origin + prefix + '/', (own.active ?? own.installing ?? own.waiting).scriptURL.slice(-6)].join()",
        "true,/sw.js",
    )
    .await;
    assert!(
        !page
            .site
            .asked()
            .iter()
            .any(|asked| asked.path.contains(".throughway/worker.js"))
    );
    assert!(page.site.url("").contains(PREFIX));
    page.stays_inside();
}

#[tokio::test]
async fn the_worker_gives_way_to_one_of_the_page_that_is_for_a_part_of_it() {
    let page = open(
        "<script>window.own = navigator.serviceWorker.register('/sw.js', {scope: '/part/'})</script>",
    )
    .await;
    page.runs(
        "await window.own;
        if (document.readyState !== 'complete') await new Promise((loaded) => addEventListener('load', loaded));
        // What the helper would do now takes a few turns.
        for (let turn = 0; turn < 20; turn++) await fetch('/turn/' + turn);
        const there = await navigator.serviceWorker.getRegistrations();
        return there.map((one) => one.scope.slice(location.origin.length + prefix.length)).join()",
        "/part/",
    )
    .await;
    let asked = page.site.asked();
    let mut asked = asked.iter().map(|asked| &asked.path);
    assert!(!asked.any(|path| path.contains(".throughway/worker.js")));
    page.stays_inside();
}

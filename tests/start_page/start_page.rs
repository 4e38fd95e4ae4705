//! The start page in a browser.

use serde_json::json;
use throughway_testing::fake_api::FakeApi;

use crate::world::World;

/// The names of the Services that are seen, in order.
pub(super) const SHOWN_NAMES: &str = "[...document.querySelectorAll('#list .name')].filter(name => name.offsetParent).map(name => name.textContent)";

pub(super) fn fill(api: &FakeApi) {
    api.service(
        "monitoring",
        "grafana",
        &json!([{"name": "web", "port": 3000}]),
    );
    let ports = json!([{"name": "http", "port": 80}, {"name": "https", "port": 8443}]);
    api.service("demo", "shop", &ports);
    api.service("demo", "dns", &json!([{"port": 53, "protocol": "UDP"}]));
    api.endpoints("monitoring", "grafana", &[true, false]);
}

#[tokio::test]
async fn everything_is_there_without_scripts_and_can_be_searched() {
    let world = World::new(fill).await;
    let without = json!({"value": true});
    world
        .tab
        .command("Emulation.setScriptExecutionDisabled", without)
        .await;
    world.tab.goto(&world.url("/")).await;
    assert_eq!(
        world.tab.evaluate(SHOWN_NAMES).await,
        json!(["dns", "shop", "grafana"])
    );
    let link = world
        .tab
        .evaluate("document.querySelector('#ns-monitoring a').href")
        .await;
    let port = world.local.address.port();
    assert_eq!(
        link,
        format!("http://grafana.monitoring.svc.localhost:{port}/")
    );
    world.tab.type_into("#search", "monit web").await;
    world.tab.click("form button").await;
    world
        .tab
        .wait_for("location.search === '?search=monit+web' && document.readyState === 'complete'")
        .await;
    assert_eq!(world.tab.evaluate(SHOWN_NAMES).await, json!(["grafana"]));
    assert_eq!(
        world
            .tab
            .evaluate("document.getElementById('search').value")
            .await,
        "monit web"
    );
    world.stayed_here();
    world.end();
}

#[tokio::test]
async fn a_search_filters_while_one_types_and_outlives_changes_and_a_reload() {
    let world = World::new(fill).await;
    world.tab.goto(&world.url("/?search=grafana")).await;
    world
        .tab
        .wait_for(
            "document.getElementById('summary').textContent === '1 of 3 services in 2 namespaces'",
        )
        .await;
    world
        .tab
        .wait_for("document.querySelectorAll('#list .name').length === 3")
        .await;
    assert_eq!(world.tab.evaluate(SHOWN_NAMES).await, json!(["grafana"]));
    world
        .tab
        .evaluate("document.getElementById('search').select()")
        .await;
    world.tab.type_into("#search", "DEMO 80").await;
    assert_eq!(world.tab.evaluate(SHOWN_NAMES).await, json!(["shop"]));
    world.api.service("demo", "late", &json!([{"port": 8080}]));
    world
        .tab
        .wait_for(&format!("({SHOWN_NAMES}).join() === 'late,shop'"))
        .await;
    world.tab.reload().await;
    assert_eq!(
        world.tab.evaluate(SHOWN_NAMES).await,
        json!(["late", "shop"])
    );
    world.stayed_here();
    world.end();
}

#[tokio::test]
async fn keys_alone_lead_to_a_service() {
    let world = World::new(fill).await;
    world.tab.goto(&world.url("/")).await;
    world
        .tab
        .wait_for("document.documentElement.classList.contains('scripted')")
        .await;
    world.tab.press("/").await;
    assert_eq!(
        world.tab.evaluate("document.activeElement.id").await,
        "search"
    );
    let focused = "document.activeElement.innerText.replace(/\\s+/g, ' ')";
    let mut walked = Vec::new();
    for key in [
        "ArrowDown",
        "ArrowDown",
        "ArrowDown",
        "ArrowDown",
        "ArrowUp",
    ] {
        world.tab.press(key).await;
        walked.push(world.tab.evaluate(focused).await);
    }
    assert_eq!(
        walked,
        [
            "http 80",
            "https 8443",
            "grafana web 3000",
            "grafana web 3000",
            "https 8443"
        ]
    );
    let ring = world
        .tab
        .evaluate("getComputedStyle(document.activeElement).outlineStyle")
        .await;
    assert_eq!(ring, "solid", "the focus is seen");
    world.tab.press("Tab").await;
    assert_eq!(world.tab.evaluate(focused).await, "grafana web 3000");
    world.stayed_here();
    world.tab.press("Enter").await;
    let port = world.local.address.port();
    let origin = format!("http://grafana.monitoring.svc.localhost:{port}");
    world
        .tab
        .wait_for(&format!("location.origin === '{origin}'"))
        .await;
    world.end();
}

#[tokio::test]
async fn a_phone_shows_it_without_scrolling_sideways() {
    let world = World::new(fill).await;
    let name = "a-name-of-sixty-three-letters-which-is-the-most-that-there-may-be";
    let ports: Vec<_> = (1..9)
        .map(|number| json!({"name": format!("port-{number}"), "port": number}))
        .collect();
    world.api.service(name, name, &json!(ports));
    let phone = json!({"width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": true});
    world
        .tab
        .command("Emulation.setDeviceMetricsOverride", phone)
        .await;
    world.tab.goto(&world.url("/")).await;
    let sizes = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]";
    assert_eq!(world.tab.evaluate(sizes).await, json!([320, 320]));
    let narrow = "[...document.querySelectorAll('#list a.port')].filter(link => link.getBoundingClientRect().height < 32).length";
    assert_eq!(
        world.tab.evaluate(narrow).await,
        0,
        "a finger hits every link"
    );
    world.stayed_here();
    world.end();
}

/// Texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3), by the style's own colours.
const FAINT: &str = r"(() => {
    const parse = (text) => text.match(/[\d.]+/g).map(Number);
    const light = (text) => { const [r, g, b] = parse(text).map(c => { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; });
        return .2126 * r + .7152 * g + .0722 * b; };
    const behind = (element) => { for (let e = element; e; e = e.parentElement) {
        const ground = getComputedStyle(e).backgroundColor; if (parse(ground)[3] !== 0) return ground; } return 'rgb(255, 255, 255)'; };
    const faint = [];
    for (const element of document.querySelectorAll('body *')) {
        if (!element.offsetParent || ![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
        const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
        if ((a + .05) / (b + .05) < 4.5) faint.push(element.outerHTML + (a + .05) / (b + .05));
    }
    return faint;
})()";

#[tokio::test]
async fn light_and_dark_are_two_and_both_are_readable() {
    let world = World::new(fill).await;
    world.api.service("demo", "gone", &json!([{"port": 8443}]));
    world.api.endpoints("demo", "gone", &[false]);
    world.api.endpoints("demo", "shop", &[true]);
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        world
            .tab
            .command("Emulation.setEmulatedMedia", features)
            .await;
        world.tab.goto(&world.url("/")).await;
        grounds.push(
            world
                .tab
                .evaluate("getComputedStyle(document.body).backgroundColor")
                .await,
        );
        assert_eq!(world.tab.evaluate(FAINT).await, json!([]), "{scheme}");
    }
    assert_ne!(grounds[0], grounds[1]);
    world.stayed_here();
    world.end();
}

#[tokio::test]
async fn hostile_names_are_shown_and_do_nothing() {
    let hostile = "<img src=x onerror=window.hit=1>\"'><script>window.hit=1</script>";
    let world = World::new(fill).await;
    world.tab.goto(&world.url("/")).await;
    world
        .api
        .service("demo", hostile, &json!([{"name": hostile, "port": 80}]));
    world.api.service(hostile, "x", &json!([{"port": 80}]));
    world
        .tab
        .wait_for(&format!("({SHOWN_NAMES}).includes({})", json!(hostile)))
        .await;
    world
        .tab
        .wait_for("document.querySelectorAll('#list section').length === 3")
        .await;
    world.tab.reload().await;
    world
        .tab
        .wait_for(&format!("({SHOWN_NAMES}).includes({})", json!(hostile)))
        .await;
    assert_eq!(world.tab.evaluate("window.hit === undefined").await, true);
    let injected =
        "document.querySelectorAll('img, script:not([src=\"/.throughway/page.js\"])').length";
    assert_eq!(world.tab.evaluate(injected).await, 0);
    world.stayed_here();
    world.end();
}

#[tokio::test]
async fn the_policy_lets_nothing_inline_run_and_nothing_else_load() {
    let world = World::new(fill).await;
    world.tab.goto(&world.url("/")).await;
    let refused = r"new Promise((done) => {
        const refused = [];
        document.addEventListener('securitypolicyviolation', (event) => {
            refused.push(event.effectiveDirective);
            if (refused.length === 4) done(refused.sort());
        });
        const add = (name, set) => document.body.append(Object.assign(document.createElement(name), set));
        add('script', {textContent: 'window.hit = 1'});
        add('style', {textContent: 'body { color: red }'});
        add('img', {src: 'http://127.0.0.1:9/x.png'});
        add('iframe', {src: '/api'});
    })";
    let expected = json!(["frame-src", "img-src", "script-src-elem", "style-src-elem"]);
    assert_eq!(world.tab.evaluate(refused).await, expected);
    assert_eq!(world.tab.evaluate("window.hit === undefined").await, true);
    world.end();
}

#[tokio::test]
async fn the_page_of_a_problem_looks_the_same_at_the_origin_of_a_target() {
    let world = World::new(fill).await;
    let origin = world.local.origin("none.of.these.names.svc");
    world.tab.goto(&format!("{origin}/")).await;
    let shown = "[getComputedStyle(document.body).maxWidth, !!document.querySelector('h1'), document.styleSheets.length]";
    assert_eq!(world.tab.evaluate(shown).await, json!(["672px", true, 1]));
    let asked: Vec<String> = world.tab.requests();
    assert!(
        asked
            .iter()
            .all(|url| url.starts_with(&origin) || url == "data:,"),
        "{asked:?}"
    );
    world.end();
}

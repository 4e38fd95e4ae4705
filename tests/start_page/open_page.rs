//! The start page that stays open: what happens meanwhile is shown on it.

use serde_json::json;

use crate::start_page::{SHOWN_NAMES, fill};
use crate::world::World;

#[tokio::test]
async fn what_changes_in_the_cluster_changes_on_the_page_that_is_open() {
    let world = World::new(fill).await;
    world.tab.goto(&world.url("/")).await;
    world.tab.evaluate("window.same = true").await;
    world
        .tab
        .wait_for("document.body.innerText.includes('1 of 2 ready')")
        .await;
    world
        .tab
        .evaluate("document.querySelector('#ns-demo a').focus()")
        .await;
    world.api.endpoints("monitoring", "grafana", &[true, true]);
    world
        .tab
        .wait_for("document.body.innerText.includes('2 ready')")
        .await;
    world.api.service("demo", "api", &json!([{"port": 80}]));
    world
        .tab
        .wait_for(&format!(
            "({SHOWN_NAMES}).join() === 'api,dns,shop,grafana'"
        ))
        .await;
    let focused = world
        .tab
        .evaluate("document.activeElement.textContent")
        .await;
    assert_eq!(focused, "http 80", "the focus stays on its link");
    world.api.remove("services", "monitoring", "grafana");
    world
        .tab
        .wait_for(&format!("({SHOWN_NAMES}).join() === 'api,dns,shop'"))
        .await;
    world
        .tab
        .wait_for("document.getElementById('summary').textContent === '3 services in 1 namespace'")
        .await;
    assert_eq!(world.tab.evaluate("window.same").await, true);
    world.stayed_here();
    world.end();
}

#[tokio::test]
async fn what_the_built_in_proxy_cannot_do_stays_unfolded_when_the_cluster_changes() {
    let world = World::new(|api| {
        fill(api);
        api.responses("/apis/throughway.dev", 404);
    })
    .await;
    // Unfolded as soon as it is there, so before anything can have come over the stream.
    let unfold = r"new MutationObserver((_, observer) => {
        const limits = document.querySelector('#notices details');
        if (limits) { limits.open = true; observer.disconnect(); }
    }).observe(document, { childList: true, subtree: true });";
    world
        .tab
        .command(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": unfold }),
        )
        .await;
    world.tab.goto(&world.url("/")).await;
    for name in ["one", "two"] {
        world.api.service("demo", name, &json!([{"port": 80}]));
        world
            .tab
            .wait_for(&format!("({SHOWN_NAMES}).includes('{name}')"))
            .await;
    }
    let limits = "document.querySelector('#notices details').open && document.querySelectorAll('#notices li').length > 0";
    assert_eq!(world.tab.evaluate(limits).await, true);
    world.stayed_here();
    world.end();
}

#[tokio::test]
async fn trouble_comes_and_goes_on_the_open_page() {
    let world = World::new(fill).await;
    world.api.responses("/", 401);
    world.tab.goto(&world.url("/")).await;
    world
        .tab
        .wait_for("document.querySelector('#notices h2')?.textContent === 'Not logged in'")
        .await;
    let command = world
        .tab
        .evaluate("document.querySelector('#notices code').textContent")
        .await;
    assert_eq!(command, "kubectl auth whoami --context test");
    world.api.responses("/", 0);
    world.tab.reload().await;
    world
        .tab
        .wait_for("!document.querySelector('#notices h2')")
        .await;
    assert_eq!(
        world.tab.evaluate(SHOWN_NAMES).await,
        json!(["dns", "shop", "grafana"])
    );
    world.stayed_here();
    world.end();
}

#[tokio::test]
async fn a_companion_that_ended_is_said_on_the_page_that_it_left() {
    let mut world = World::new(fill).await;
    world.tab.goto(&world.url("/")).await;
    world
        .tab
        .wait_for("document.querySelectorAll('#list .name').length === 3")
        .await;
    world.local.kill();
    world
        .tab
        .wait_for("document.getElementById('lost').offsetParent")
        .await;
    world.end();
}

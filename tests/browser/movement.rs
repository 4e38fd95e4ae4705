//! Going from page to page: history, locations, windows, forms.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_router_that_pushes_deep_paths_keeps_its_links_and_reloads() {
    let world = World::new().await;
    world.tab.goto(&world.url("/history")).await;
    world
        .tab
        .evaluate("history.pushState({deep: 1}, '', '/history/a/b/c?d=e#f')")
        .await;
    assert_eq!(
        world.tab.evaluate("location.href").await,
        world.url("/history/a/b/c?d=e#f")
    );
    assert_eq!(
        world
            .tab
            .evaluate("document.getElementById('written').href")
            .await,
        world.url("/written")
    );
    assert_eq!(
        world
            .tab
            .evaluate("document.getElementById('relative').href")
            .await,
        world.url("/history/a/b/next")
    );
    world
        .tab
        .evaluate("history.replaceState({deep: 2}, '', new URL('/history/x/y', location.origin))")
        .await;
    world.arrives_at("/history/x/y").await;
    world.tab.evaluate("location.reload()").await;
    world.app.until_seen(&["GET /history/x/y"]).await;
    world.arrives_at("/history/x/y").await;
    world.tab.click("#relative").await;
    world.arrives_at("/history/x/next").await;
    world.tab.evaluate("history.back()").await;
    world.arrives_at("/history/x/y").await;
    world.tab.click("#written").await;
    world.arrives_at("/written").await;
    world.nothing_left_the_prefix();
    world.no_console_errors();
    world.end().await;
}

/// As apps of the kind that lives with `<base href="/">` do.
#[tokio::test]
async fn a_router_with_a_base_reads_its_own_links_and_loads_relative_to_the_base() {
    let world = World::new().await;
    world.tab.goto(&world.url("/router/deep/er")).await;
    world.tab.click("#go").await;
    world.arrives_at("/router/clicked?tab=1").await;
    world
        .tab
        .evaluate("history.pushState({at: 2}, '', 'router/a/b/c')")
        .await;
    world.arrives_at("/router/a/b/c").await;
    world.tab.evaluate("{ new Image().src = 'assets/late.svg'; fetch('api/late'); fetch('./api/./dotted'); } 0").await;
    world
        .app
        .until_seen(&["GET /assets/late.svg", "GET /api/late", "GET /api/dotted"])
        .await;
    world.tab.evaluate("history.back()").await;
    world.arrives_at("/router/clicked?tab=1").await;
    world.tab.wait_for("seen.length === 2").await;
    assert_eq!(
        world.tab.evaluate("seen").await,
        json!(["/router/clicked?tab=1", {"at": 1}])
    );
    world.tab.click("#short").await;
    world.arrives_at("/router/short").await;
    world.nothing_left_the_prefix();
    world.no_console_errors();
    world.end().await;
}

#[tokio::test]
async fn locations_set_by_script_lead_below_the_prefix() {
    let world = World::new().await;
    let scripts = [
        ("location.href = '/login'", "/login"),
        ("location = '/by-location'", "/by-location"),
        ("location.assign('/by-assign?a=b')", "/by-assign?a=b"),
        ("location.replace('/by-replace')", "/by-replace"),
        (
            "location.href = location.origin + '/by-origin#x'",
            "/by-origin#x",
        ),
        ("location.pathname = '/by-pathname'", "/by-pathname"),
    ];
    for (script, inside) in scripts {
        world.tab.goto(&world.url("/navigation/deep")).await;
        world.tab.evaluate(&format!("{{ {script}; }} 0")).await;
        world.arrives_at(inside).await;
    }
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn windows_that_a_page_opens_are_below_the_prefix() {
    let world = World::new().await;
    world.tab.goto(&world.url("/navigation/deep")).await;
    world.tab.click("#opened").await;
    world.app.until_seen(&["GET /by-open"]).await;
    world.tab.click("#blank-link").await;
    world.app.until_seen(&["GET /by-blank"]).await;
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn forms_arrive_and_their_redirects_stay_below_the_prefix() {
    let world = World::new().await;
    let page = world.url("/forms/deep");
    world.tab.goto(&page).await;
    world.tab.type_into("input[name=q]", "a b&c").await;
    world.tab.click("#get").await;
    world.arrives_at("/found?q=a+b%26c").await;

    world.tab.goto(&page).await;
    world.tab.click("#post").await;
    world.arrives_at("/api/posted").await;
    let said = world
        .tab
        .evaluate("JSON.parse(document.body.innerText)")
        .await;
    assert_eq!(
        (&said["method"], &said["body"]),
        (&json!("POST"), &json!("word=x+y"))
    );

    for (button, inside) in [
        ("#see-other", "/after-303?a=b"),
        ("#found", "/after-302"),
        ("#temporary", "/after-307"),
        ("#other", "/api/form-action"),
    ] {
        world.tab.goto(&page).await;
        world.tab.click(button).await;
        world.arrives_at(inside).await;
    }
    world
        .app
        .until_seen(&[
            "POST /go/303/after-303?a=b",
            "GET /after-303?a=b",
            "GET /after-302",
            "POST /api/form-action",
        ])
        .await;
    world.nothing_left_the_prefix();
    world.end().await;
}

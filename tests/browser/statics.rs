//! What stands in pages and style sheets: every link loads from below the prefix, without any script of the page.

use crate::world::World;

#[tokio::test]
async fn links_of_a_page_and_its_style_sheets_load_from_below_the_prefix() {
    let world = World::new().await;
    world.tab.goto(&world.url("/links/deep/page")).await;
    let wanted = [
        "/css/sheet.css",
        "/css/imported.css",
        "/css/fonts.css",
        "/css/imported-by-style.css",
        "/framed-by-links",
        "/img/border.svg",
        "/img/button.svg",
        "/img/embed.svg",
        "/img/from-attribute.svg",
        "/img/from-imported.svg",
        "/img/from-sheet.svg",
        "/img/from-style.svg",
        "/img/in-old-svg.svg",
        "/img/in-svg.svg",
        "/img/object.svg",
        "/img/plain.svg",
        "/img/poster.svg",
        "/img/preloaded.svg",
        "/img/set.svg",
        "/img/source.svg",
        "/img/sprite.svg",
        "/js/classic.js",
        "/js/module.js",
    ];
    let wanted = wanted.map(|path| format!("GET {path}"));
    world
        .app
        .until_seen(&wanted.each_ref().map(String::as_str))
        .await;
    let link = world
        .tab
        .evaluate("document.getElementById('anchor').href")
        .await;
    assert_eq!(link, world.url("/linked?a=b#there"));
    world.tab.click("#anchor").await;
    world.arrives_at("/linked?a=b#there").await;
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn a_base_element_leads_below_the_prefix_and_relative_links_follow_it() {
    let world = World::new().await;
    world.tab.goto(&world.url("/base/page")).await;
    world
        .app
        .until_seen(&["GET /based/deep/relative.svg", "GET /img/root.svg"])
        .await;
    world.tab.click("#anchor").await;
    world.arrives_at("/based/deep/next").await;
    world.nothing_left_the_prefix();
    world.no_console_errors();
    world.end().await;
}

#[tokio::test]
async fn a_meta_refresh_leads_below_the_prefix() {
    let world = World::new().await;
    world.tab.goto(&world.url("/meta/deep")).await;
    world.arrives_at("/arrived?by=meta").await;
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn an_absolute_link_to_another_app_is_left_alone() {
    let world = World::new().await;
    world.tab.goto(&world.url("/neighbour")).await;
    world.tab.click("#neighbour").await;
    let there = world.url_of("other", "/welcome");
    world
        .tab
        .wait_for(&format!("location.href === '{there}'"))
        .await;
    world.other.until_seen(&["GET /welcome"]).await;
    world.no_console_errors();
    world.end().await;
}

#[tokio::test]
async fn the_address_without_its_slash_shows_the_first_page() {
    let world = World::new().await;
    world.tab.goto(&world.url("")).await;
    world.arrives_at("/").await;
    assert_eq!(world.tab.evaluate("document.title").await, "blank");
    world.nothing_left_the_prefix_but_its_slash();
    world.end().await;
}

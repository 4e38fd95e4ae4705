//! What services say of themselves, and pages with a Content-Security-Policy: the helper works, and nothing that the
//! page forbids becomes allowed.

use serde_json::json;

use crate::scripts::assert_results;
use crate::world::World;

#[tokio::test]
async fn a_page_that_allows_scripts_by_nonce_gets_the_helper_and_nothing_else() {
    let world = World::new().await;
    let wanted = json!({"fetch": "/api/nonce", "a script without nonce ran": false});
    assert_results(&world, "/nonce", &wanted).await;
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn a_page_that_allows_its_own_scripts_gets_the_helper_and_nothing_else() {
    let world = World::new().await;
    let wanted = json!({"fetch": "/api/own", "an inline script ran": false});
    assert_results(&world, "/own/deep", &wanted).await;
    world.tab.wait_for("window.imported").await;
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn a_page_that_allows_inline_scripts_only_gets_the_helper_inline() {
    let world = World::new().await;
    let wanted = json!({"fetch": "/api/inline"});
    assert_results(&world, "/inline/deep", &wanted).await;
    let refused = world
        .app
        .seen()
        .into_iter()
        .any(|seen| seen.target == "/img/refused.svg");
    assert!(!refused, "the page allows no pictures");
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn a_page_that_wants_trusted_types_works_and_still_refuses_text() {
    let world = World::new().await;
    let wanted = json!({
        "a trusted script URL": "loaded", "trusted HTML": "loaded",
        "a Worker of a trusted URL": "hello from a worker", "fetch": "/api/trusted",
        "text that is not trusted is still refused": "TypeError",
    });
    assert_results(&world, "/trusted", &wanted).await;
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn a_page_that_allows_a_script_by_its_hash_gets_the_helper_and_nothing_else() {
    let world = World::new().await;
    let wanted = json!({"fetch": "/api/hashed", "another script ran": false});
    assert_results(&world, "/hashed/deep", &wanted).await;
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn a_page_with_strict_dynamic_gets_the_helper_and_nothing_else() {
    let world = World::new().await;
    let wanted = json!({"added": "loaded", "a script without nonce ran": false});
    assert_results(&world, "/strict/deep", &wanted).await;
    world.nothing_left_the_prefix();
    world.end().await;
}

/// It also shows that these tests see what leaves the prefix.
#[tokio::test]
async fn without_the_helper_calls_of_scripts_leave_the_prefix_and_links_do_not() {
    let world = World::with(json!({"throughway.dev/page-helper": "off"})).await;
    world.tab.goto(&world.url("/links/deep/page")).await;
    world
        .app
        .until_seen(&["GET /img/plain.svg", "GET /css/imported.css"])
        .await;
    world.nothing_left_the_prefix();
    let results = world.results("/nonce").await;
    assert!(
        results["fetch"]
            .as_str()
            .is_none_or(|target| target != "/api/nonce"),
        "{results}"
    );
    let left = world
        .tab
        .requests()
        .into_iter()
        .any(|url| url.ends_with("/api/nonce") && !url.contains("/proxy/"));
    assert!(left, "{:#?}", world.tab.requests());
    world.end().await;
}

#[tokio::test]
async fn a_sandboxed_service_has_no_part_in_the_origin() {
    let world = World::with(json!({"throughway.dev/isolation": "sandbox"})).await;
    world.tab.goto(&world.url("/links/deep/page")).await;
    world
        .app
        .until_seen(&["GET /img/plain.svg", "GET /js/classic.js"])
        .await;
    assert_eq!(world.tab.evaluate("self.origin").await, "null");
    world.nothing_left_the_prefix();
    world.end().await;
}

//! Users who log in: cookies of apps, and passwords that a browser would ask for.

use serde_json::json;

use crate::scripts::assert_results;
use crate::world::World;

#[tokio::test]
async fn a_login_sets_cookies_that_scripts_and_the_app_see() {
    let world = World::new().await;
    world.tab.goto(&world.url("/cookies")).await;
    world.tab.click("#login").await;
    world.app.until_seen(&["POST /login"]).await;
    world.arrives_at("/cookies").await;
    world.tab.wait_for("window.done").await;
    assert_eq!(
        world.tab.evaluate("results").await,
        json!({"read": ["mine=app", "shown=app"], "sent": ["__Host-strict=app", "mine=app", "session=app", "shown=app"]})
    );
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn cookies_of_two_services_do_not_meet() {
    let world = World::new().await;
    for service in ["app", "other"] {
        world.tab.goto(&world.url_of(service, "/cookies")).await;
        world.tab.click("#login").await;
        world
            .tab
            .wait_for("window.done && document.cookie.includes('shown=')")
            .await;
    }
    let (read, sent) = (
        json!(["mine=app", "shown=app"]),
        json!(["__Host-strict=app", "mine=app", "session=app", "shown=app"]),
    );
    assert_results(&world, "/cookies", &json!({"read": read, "sent": sent})).await;
    world.end().await;
}

#[tokio::test]
async fn an_app_that_asks_for_a_password_gets_it_from_a_page() {
    let world = World::new().await;
    world.tab.goto(&world.url("/basic/vault?a=b")).await;
    world.tab.type_into("input[name=username]", "root").await;
    world.tab.type_into("input[type=password]", "wrong").await;
    world.tab.click("button").await;
    world
        .tab
        .wait_for("document.querySelector('input[type=password]')?.value === ''")
        .await;
    world
        .tab
        .evaluate("document.querySelector('input[name=username]').value = ''")
        .await;
    world.tab.type_into("input[name=username]", "root").await;
    world.tab.type_into("input[type=password]", "secret").await;
    world.tab.click("button").await;
    world.arrives_at("/basic/vault?a=b").await;
    world.tab.wait_for("document.getElementById('blank')").await;
    assert_eq!(
        world.tab.evaluate("document.cookie").await,
        "",
        "scripts see nothing of it"
    );
    let leaked = world.app.seen().into_iter().any(|seen| {
        seen.headers
            .get_all("cookie")
            .iter()
            .any(|cookie| cookie.to_str().unwrap().contains("Throughway"))
    });
    assert!(!leaked, "the app must not see the sealed cookie");
    world.tab.goto(&world.url("/.throughway/logout")).await;
    world.tab.click("button").await;
    world.tab.wait_for("document.title === 'Logged out'").await;
    world.tab.goto(&world.url("/basic/vault")).await;
    world
        .tab
        .wait_for("document.querySelector('input[type=password]')")
        .await;
    world.nothing_left_the_prefix();
    world.end().await;
}

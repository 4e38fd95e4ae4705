//! Client-side routers that read their place from `location` and know no prefix: `throughway.dev/client-router: on`.

use serde_json::{Value, json};
use throughway_testing::until;

use crate::world::World;

/// `fixtures/spa.js` says what they are like.
const KINDS: [&str; 3] = ["spa", "spa-moving", "spa-late"];

async fn world() -> World {
    World::with(json!({"throughway.dev/client-router": "on"})).await
}

/// Waits until a view is shown at its true address, and stays.
async fn shows(world: &World, view: &str, inside: &str) {
    let url = Value::from(world.url(inside));
    let condition = format!(
        "document.readyState === 'complete' && location.href === {url}
         && document.getElementById('view').textContent === {}",
        Value::from(view)
    );
    world.tab.wait_for(&condition).await;
}

#[tokio::test]
async fn deep_links_are_shown_and_survive_a_reload() {
    let world = world().await;
    for kind in KINDS {
        // As a bookmark is opened, and a link that somebody sent.
        world.tab.goto(&world.url(&format!("/{kind}/jobs"))).await;
        shows(&world, "jobs", &format!("/{kind}/jobs")).await;
        world.tab.click("#job").await;
        shows(&world, "job 7", &format!("/{kind}/jobs/7?tab=log")).await;
        world.tab.reload().await;
        shows(&world, "job 7", &format!("/{kind}/jobs/7?tab=log")).await;
        world.tab.evaluate("location.reload()").await;
        world.tab.wait_for("shown.at(-1)[0] === 'job 7'").await;
        shows(&world, "job 7", &format!("/{kind}/jobs/7?tab=log")).await;
    }
    world.nothing_left_the_prefix();
    world.no_console_errors();
    world.end().await;
}

#[tokio::test]
async fn back_and_forward_show_what_was_there() {
    let world = world().await;
    for kind in KINDS {
        let inside = |path: &str| format!("/{kind}{path}");
        world.tab.goto(&world.url(&inside("/jobs"))).await;
        shows(&world, "jobs", &inside("/jobs")).await;
        for (link, view, path) in [
            ("#runs", "runs", "/runs"),
            ("#job", "job 7", "/jobs/7?tab=log"),
        ] {
            world.tab.click(link).await;
            shows(&world, view, &inside(path)).await;
        }
        for (step, view, path) in [
            ("back", "runs", "/runs"),
            ("back", "jobs", "/jobs"),
            ("forward", "runs", "/runs"),
            ("forward", "job 7", "/jobs/7?tab=log"),
        ] {
            world.tab.evaluate(&format!("history.{step}()")).await;
            shows(&world, view, &inside(path)).await;
        }
        // From another document.
        world.tab.goto(&world.url("/blank")).await;
        world.tab.evaluate("history.back()").await;
        shows(&world, "job 7", &inside("/jobs/7?tab=log")).await;
        world.tab.evaluate("history.back()").await;
        shows(&world, "runs", &inside("/runs")).await;
    }
    world.nothing_left_the_prefix();
    world.no_console_errors();
    world.end().await;
}

#[tokio::test]
async fn a_link_in_a_new_window_and_a_new_tab_show_their_view() {
    let world = world().await;
    for kind in KINDS {
        world.tab.goto(&world.url(&format!("/{kind}/jobs"))).await;
        shows(&world, "jobs", &format!("/{kind}/jobs")).await;
        world.tab.click("#new").await;
        world.app.until_seen(&[&format!("GET /{kind}/runs")]).await;
        // Another profile has neither session nor cache.
        let other = world.browser.tab().await;
        other.goto(&world.url(&format!("/{kind}/jobs/7"))).await;
        other
            .wait_for("document.getElementById('view').textContent === 'job 7'")
            .await;
        assert_eq!(other.console_errors(), Vec::<String>::new());
        other.close().await;
    }
    let runs = || {
        let seen = world.app.seen().into_iter();
        seen.filter(|one| one.target == "/api/shown?view=runs")
            .count()
    };
    world.tab.wait_for("true").await;
    until("every router has started", async || runs() >= KINDS.len()).await;
    world.nothing_left_the_prefix();
    world.no_console_errors();
    world.end().await;
}

/// All that a page can ask for is asked for as if its address had never been another.
#[tokio::test]
async fn what_is_asked_for_meanwhile_comes_from_the_true_address() {
    let world = world().await;
    world.tab.goto(&world.url("/handlers/one")).await;
    world.tab.click("#part").await;
    world.tab.wait_for("heard.length >= 2").await;
    let cookies =
        "act = () => { act = () => {}; window.cookies = ask('popped'); }; history.back(); 1";
    world.tab.evaluate(cookies).await;
    world
        .tab
        .wait_for("window.cookies?.includes('popped=1')")
        .await;
    let pushed = "(() => { history.pushState({}, '', '/handlers/deep/er'); const at = location.pathname;
        const cookies = ask('pushed');
        return Promise.resolve().then(() => [at, cookies.includes('pushed=1'), location.pathname]); })()";
    assert_eq!(
        world.tab.evaluate(pushed).await,
        json!(["/handlers/deep/er", true, world.path("/handlers/deep/er")])
    );
    for (name, folder) in [("popped", "/handlers"), ("pushed", "/handlers/deep")] {
        let mut wanted = Vec::new();
        for (method, kind) in [("POST", "fetch"), ("GET", "xhr"), ("POST", "beacon")] {
            wanted.push(format!("{method} /api/{name}-{kind}"));
        }
        for inside in ["-relative", "-relative.svg", "-markup.svg", ".css", ".js"] {
            wanted.push(format!("GET {folder}/{name}{inside}"));
        }
        wanted.push(format!("GET /ws/{name}"));
        wanted.push(format!("GET /{name}-worker.js"));
        wanted.push(format!("GET /{name}-absolute.svg"));
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        world.app.until_seen(&wanted).await;
    }
    for name in ["popped-fetch", "popped-xhr", "pushed-fetch", "pushed-xhr"] {
        let seen = world.app.seen();
        let seen = seen.iter().find(|one| one.target.ends_with(name)).unwrap();
        let referer = seen.headers["referer"].to_str().unwrap();
        // As the app itself is called, which it is only for its own pages.
        assert!(
            referer.starts_with("http://app.demo.svc/handlers/"),
            "{name}: {referer}"
        );
    }
    world.nothing_left_the_prefix();
    world.no_console_errors();
    world.end().await;
}

#[tokio::test]
async fn the_true_address_is_back_before_anything_else_happens() {
    let world = world().await;
    world.tab.goto(&world.url("/handlers/one")).await;
    world.tab.evaluate("heard.length = 0").await;
    world.tab.click("#part").await;
    world.tab.wait_for("heard.length === 2").await;
    let (inner, outer) = ("/handlers/one", world.path("/handlers/one"));
    assert_eq!(
        world.tab.evaluate("heard").await,
        json!([format!("{inner}#part"), outer])
    );
    world.arrives_at("/handlers/one#part").await;
    assert_eq!(
        world.tab.evaluate("document.baseURI").await,
        world.url("/handlers/one#part")
    );
    // More than a browser takes: it is no hindrance for the app's own calls, and the last of them counts.
    let many = "for (let n = 0; n < 150; n++) history.replaceState({ n }, '', '/handlers/' + n); 1";
    world.tab.evaluate(many).await;
    world.arrives_at("/handlers/149").await;
    assert_eq!(world.tab.evaluate("history.state").await, json!({"n": 149}));
    // Without an address, the entry is a new one at the same place.
    world
        .tab
        .evaluate("history.pushState({ n: 'same' }, ''); 1")
        .await;
    world.arrives_at("/handlers/149").await;
    world.no_console_errors();
    world.end().await;
}

#[tokio::test]
async fn a_handler_that_reloads_or_leaves_does_so_from_the_true_address() {
    let world = world().await;
    for (script, inside) in [
        ("location.reload()", "/handlers/one"),
        ("location.href = '?a=b'", "/handlers/one?a=b"),
        ("location.assign('two')", "/handlers/two"),
        ("location.replace('/blank')", "/blank"),
    ] {
        world.tab.goto(&world.url("/handlers/one")).await;
        world.tab.click("#part").await;
        world
            .tab
            .wait_for("location.hash && heard.length >= 2")
            .await;
        let leave = format!(
            "act = () => {{ act = () => {{}}; {script}; }}; window.old = true; history.back(); 1"
        );
        world.tab.evaluate(&leave).await;
        world.tab.wait_for("!window.old").await;
        world.arrives_at(inside).await;
        let kind = "performance.getEntriesByType('navigation')[0].type";
        let is_reload = script == "location.reload()";
        let expected = if is_reload { "reload" } else { "navigate" };
        assert_eq!(world.tab.evaluate(kind).await, expected, "{script}");
    }
    // The same in the moment after a call of history.
    world.tab.goto(&world.url("/handlers/one")).await;
    world
        .tab
        .evaluate(
            "window.old = true; history.pushState(1, '', '/handlers/three'); location.reload(); 1",
        )
        .await;
    world.tab.wait_for("!window.old").await;
    world.arrives_at("/handlers/three").await;
    world.nothing_left_the_prefix();
    world.no_console_errors();
    world.end().await;
}

#[tokio::test]
async fn pages_with_every_kind_of_policy_are_helped() {
    let world = world().await;
    for page in ["nonce", "own", "hashed", "strict", "inline", "trusted"] {
        world.tab.goto(&world.url(&format!("/{page}/deep"))).await;
        let helped = "[window[Symbol.for('throughway.router')], window[Symbol.for('throughway')]]";
        assert_eq!(world.tab.evaluate(helped).await, json!([1, 1]), "{page}");
        world.arrives_at(&format!("/{page}/deep")).await;
    }
    world.end().await;
}

/// Apps that know their prefix, or read the address at any time.
#[tokio::test]
async fn without_the_annotation_location_and_events_are_the_browsers_own() {
    let world = World::new().await;
    world.tab.goto(&world.url("/handlers/one")).await;
    assert_eq!(world.tab.evaluate("heard").await, json!([]));
    world
        .tab
        .evaluate("addEventListener('popstate', event => { window.trusted = event.isTrusted; }); 1")
        .await;
    world.tab.click("#part").await;
    world.tab.wait_for("window.trusted === true").await;
    let outer = world.path("/handlers/one");
    assert_eq!(
        world.tab.evaluate("heard").await,
        json!([format!("{outer}#part"), outer])
    );
    let pushed = "history.pushState(1, '', '/handlers/two'); location.pathname";
    assert_eq!(
        world.tab.evaluate(pushed).await,
        world.path("/handlers/two")
    );
    world.no_console_errors();
    world.end().await;
}

/// The address of another target is that target's, whoever shows it.
#[tokio::test]
async fn an_address_of_another_target_is_left_as_it_is() {
    let world = world().await;
    world.tab.goto(&world.url("/spa/jobs")).await;
    shows(&world, "jobs", "/spa/jobs").await;
    let other = world.url_of("other", "/spa/jobs");
    let push = format!(
        "history.pushState(1, '', {}); location.href",
        Value::from(other.as_str())
    );
    assert_eq!(world.tab.evaluate(&push).await, other);
    world.tab.evaluate("history.back()").await;
    shows(&world, "jobs", "/spa/jobs").await;
    world.tab.evaluate("history.forward()").await;
    world
        .tab
        .wait_for(&format!(
            "location.href === {}",
            Value::from(other.as_str())
        ))
        .await;
    world.nothing_arrived_elsewhere();
    world.end().await;
}

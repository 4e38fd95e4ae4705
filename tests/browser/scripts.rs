//! Addresses that scripts build: each call and each way to put an address into a page.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn calls_of_scripts_arrive_at_the_app() {
    let world = World::new().await;
    let wanted = json!({
        "fetch of a path": "/api/fetch?a=1",
        "fetch of a URL": "/api/url",
        "fetch of this origin": "/api/origin",
        "fetch of a Request": "/api/request",
        "fetch keeps method and body": ["PUT", "hello", "yes"],
        "fetch of a Request keeps its body": ["POST", "hello"],
        "fetch with Authorization": "Basic bWU6dG9v",
        "relative fetch": true,
        "XMLHttpRequest": "/api/xhr",
        "XMLHttpRequest with Authorization": "Bearer mine",
        "WebSocket": "/ws/socket?a=1&b=2",
        "WebSocket of a path": "/ws/path",
        "WebSocket is a WebSocket": [true, 1],
        "EventSource": "/events/source?a=1",
        "sendBeacon": true,
        "Worker": "hello from a worker",
        "SharedWorker": "hello from a shared worker",
        "upload": [true, true],
        "XMLHttpRequest with a user": "Basic bWU6dG9v",
        "fetch of a Request with Authorization": "Bearer mine",
        "fetch is told where it ended": 200,
        "module Worker": "hello from a worker",
    });
    assert_results(&world, "/calls", &wanted).await;
    world
        .app
        .until_seen(&["POST /api/beacon", "POST /api/request"])
        .await;
    world.nothing_left_the_prefix();
    world.no_console_errors();
    world.end().await;
}

#[tokio::test]
async fn modules_are_imported_from_below_the_prefix() {
    let world = World::new().await;
    let wanted = json!({"static import": "static", "dynamic import": true});
    assert_results(&world, "/modules", &wanted).await;
    world.nothing_left_the_prefix();
    world.no_console_errors();
    world.end().await;
}

#[tokio::test]
async fn addresses_put_into_elements_load_from_below_the_prefix() {
    let world = World::new().await;
    let wanted = json!({
        "img.src": "loaded", "img.setAttribute": "loaded", "new Image": "loaded", "img.srcset": "loaded",
        "script.src": "loaded", "link.href": "loaded", "iframe.src": "loaded", "object.data": "loaded",
        "innerHTML": "loaded", "insertAdjacentHTML": "loaded", "template": "loaded", "DOMParser": "loaded",
        "SVG use": "loaded", "a.href": true, "form.action": true, "getAttribute": "/linked",
    });
    assert_results(&world, "/elements/deep/er", &wanted).await;
    world.nothing_left_the_prefix();
    world.no_console_errors();
    world.end().await;
}

#[tokio::test]
async fn scripts_read_the_addresses_that_the_page_was_written_with() {
    let world = World::new().await;
    let wanted = json!({
        "getAttribute of what was written": "/written?a=b",
        "getAttribute of an image": "/img/written.svg",
        "selector by attribute": true,
        "relative is left": "beside",
        "fragment is left": "#part",
        "foreign is left": "https://elsewhere.example/x",
        "javascript is left": "javascript:void 0",
        "data is left": "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
    });
    assert_results(&world, "/attributes/deep", &wanted).await;
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn paths_and_queries_that_kube_apiserver_would_change_arrive_byte_for_byte() {
    let world = World::new().await;
    let paths = [
        "/api/%2F/x?b=2&a",
        "/api/a;b?z=1&y=2;3",
        "/api//double",
        "/api/vhosts/%2F/queues?page=1&name=",
        "/api/plain?a=1&b=2",
        "/api/space%20here?q=a+b%20c",
    ];
    let mut wanted = json!({"relative": "/api/%2F/relative?b&a"});
    for path in paths {
        wanted[format!("fetch {path}")] = path.into();
        wanted[format!("XMLHttpRequest {path}")] = path.into();
    }
    assert_results(&world, "/path", &wanted).await;
    let leaked = world
        .app
        .seen()
        .into_iter()
        .any(|seen| seen.headers.contains_key("throughway-path"));
    assert!(!leaked, "the app must not see how its path came");
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn the_helper_may_run_twice() {
    let world = World::new().await;
    let wanted = json!({
        "fetch": "/api/twice", "XMLHttpRequest": "/api/twice-xhr", "WebSocket": "/ws/twice",
        "img.src": "loaded", "history": true,
    });
    assert_results(&world, "/twice", &wanted).await;
    world.nothing_left_the_prefix();
    world.no_console_errors();
    world.end().await;
}

#[tokio::test]
async fn frames_stay_below_the_prefix() {
    let world = World::new().await;
    let wanted = json!({"written, then its location set": [true, true]});
    assert_results(&world, "/frames/deep", &wanted).await;
    world
        .app
        .until_seen(&[
            "GET /framed/written",
            "GET /framed/location",
            "GET /img/srcdoc.svg",
        ])
        .await;
    world.nothing_left_the_prefix();
    world.end().await;
}

/// What no script of ours sees is caught by the service worker, which is there from the second load on.
async fn second_load() -> World {
    let world = World::new().await;
    world.tab.goto(&world.url("/rules")).await;
    world
        .tab
        .wait_for("navigator.serviceWorker.ready.then(worker => worker.active)")
        .await;
    world.tab.goto(&world.url("/rules")).await;
    world
        .tab
        .wait_for("navigator.serviceWorker.controller")
        .await;
    world
}

#[tokio::test]
async fn style_rules_made_by_script_load_from_below_the_prefix_on_the_second_load() {
    let world = second_load().await;
    for script in [
        "document.getElementById('sheet').sheet.insertRule('#ruled { background: url(/img/by-rule.svg) }')",
        "document.getElementById('sheet').sheet.cssRules[0].style.maskImage = 'url(/img/by-rule-style.svg)'",
        "document.getElementById('ruled').style.listStyleImage = 'url(/img/by-style.svg)'",
        "document.getElementById('ruled').style.display = 'list-item'",
    ] {
        world.tab.evaluate(script).await;
    }
    let wanted = [
        "GET /img/by-rule.svg",
        "GET /img/by-rule-style.svg",
        "GET /img/by-style.svg",
    ];
    world.app.until_seen(&wanted).await;
    world.nothing_arrived_elsewhere();
    world.end().await;
}

#[tokio::test]
async fn workers_fetch_and_import_from_below_the_prefix_on_the_second_load() {
    let world = second_load().await;
    let said = world
        .tab
        .evaluate("new Promise(done => { const worker = new Worker('/js/fetching.js'); worker.onmessage = event => done(event.data); worker.onerror = event => done(event.message || 'error'); })")
        .await;
    assert_eq!(said, "/api/in-worker");
    world
        .app
        .until_seen(&["GET /js/imported-by-worker.js"])
        .await;
    world.nothing_arrived_elsewhere();
    world.end().await;
}

/// Every construct of the page comes to what is wanted of it.
pub async fn assert_results(world: &World, page: &str, wanted: &serde_json::Value) {
    let results = world.results(page).await;
    let wrong: Vec<String> = wanted
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, value)| results.get(name) != Some(value))
        .map(|(name, value)| format!("{name}: {} instead of {value}", results[name]))
        .collect();
    let (console_errors, requests) = (world.tab.console_errors(), world.tab.requests());
    assert!(
        wrong.is_empty(),
        "{wrong:#?}\ncomplaints: {console_errors:#?}\nrequests: {requests:#?}"
    );
    assert_eq!(
        results.as_object().unwrap().len(),
        wanted.as_object().unwrap().len(),
        "{results:#}"
    );
}

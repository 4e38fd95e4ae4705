//! Pages of other origins, in a browser whose user reaches the API without a login of their own: what they may not do.
//!
//! `127.0.0.1` with another port is another origin and the same site, so all of its cookies go along. The page of the
//! attacker is one of an app that the browser has at its own address.

use http::header;
use serde_json::json;

use crate::app::Seen;
use crate::world::{World, prefix};

/// Opens a page of the attacker, which has nothing of Throughway in it.
async fn at_the_attackers(world: &World) {
    let page = format!("http://{}/blank", world.attacker.address);
    world.tab.goto(&page).await;
}

fn arrived(world: &World, path: &str) -> Vec<Seen> {
    let seen = world.app.seen();
    let is_it = |one: &Seen| one.target == path;
    seen.into_iter().filter(is_it).collect()
}

/// A script that opens a socket and says what became of it.
fn socket(url: &str, protocols: &str) -> String {
    format!(
        "new Promise((done) => {{
            const socket = new WebSocket('{url}', {protocols});
            socket.onmessage = (event) => done([event.data, socket.protocol]);
            socket.onerror = () => done('refused');
        }})"
    )
}

#[tokio::test]
async fn a_page_of_another_port_opens_no_websocket() {
    let world = World::new().await;
    at_the_attackers(&world).await;
    let url = world.url("/ws/stolen").replace("http://", "ws://");
    assert_eq!(world.tab.evaluate(&socket(&url, "[]")).await, "refused");
    let forged = "['throughway.page.99999999999.AAAA']";
    assert_eq!(world.tab.evaluate(&socket(&url, forged)).await, "refused");
    assert!(arrived(&world, "/ws/stolen").is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_page_of_the_target_opens_websockets_and_the_app_sees_nothing_of_the_token() {
    let world = World::new().await;
    world.tab.goto(&world.url("/blank")).await;
    for (protocols, said, offered) in [
        ("[]", json!(["/ws/own", ""]), None),
        ("undefined", json!(["/ws/own", ""]), None),
        ("'chat'", json!(["/ws/own", "chat"]), Some("chat")),
        (
            "['v2', 'chat']",
            json!(["/ws/own", "chat"]),
            Some("v2, chat"),
        ),
        // A server that agrees to nothing ends the socket, as without anything in front.
        ("['v2']", json!("refused"), Some("v2")),
    ] {
        let before = arrived(&world, "/ws/own").len();
        let found = world.tab.evaluate(&socket("/ws/own", protocols)).await;
        assert_eq!(found, said, "{protocols}");
        let arrived = arrived(&world, "/ws/own");
        assert_eq!(arrived.len(), before + 1);
        let headers = &arrived[before].headers;
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(text(header::SEC_WEBSOCKET_PROTOCOL), offered);
        assert_eq!(text(header::ORIGIN), Some("http://app.demo.svc"));
    }
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn a_frame_of_the_target_opens_websockets_too() {
    let world = World::new().await;
    world.tab.goto(&world.url("/blank")).await;
    let script = format!(
        "(async () => {{
            const frame = document.createElement('iframe');
            frame.src = '/blank/inner';
            await new Promise((done) => {{ frame.onload = done; document.body.append(frame); }});
            return frame.contentWindow.eval({});
        }})()",
        json!(socket("/ws/inner", "[]"))
    );
    assert_eq!(world.tab.evaluate(&script).await, json!(["/ws/inner", ""]));
    world.end().await;
}

/// No page helper is in a worker, so its script begins with a line that does the same for WebSockets.
#[tokio::test]
async fn workers_of_the_target_open_websockets_too() {
    let world = World::new().await;
    world.tab.goto(&world.url("/blank")).await;
    for kind in ["classic", "module"] {
        let script = format!(
            "new Promise((done) => {{
                const worker = new Worker('/js/socket-worker.js', {{ type: '{kind}' }});
                worker.onmessage = (event) => done(event.data);
                worker.onerror = (event) => done(event.message || 'error');
            }})"
        );
        assert_eq!(
            world.tab.evaluate(&script).await,
            json!([
                ["/ws/plain", ""],
                ["/ws/chat", "chat"],
                ["/ws/full", ""],
                true
            ]),
            "{kind}"
        );
    }
    let shared = "new Promise((done) => {
        const worker = new SharedWorker('/js/socket-worker.js');
        worker.port.onmessage = (event) => done(event.data);
        worker.onerror = (event) => done(event.message || 'error');
    })";
    assert_eq!(
        world.tab.evaluate(shared).await[0],
        json!(["/ws/plain", ""])
    );
    let with_token = world.app.seen().into_iter().any(|seen| {
        let offered = seen.headers.get(header::SEC_WEBSOCKET_PROTOCOL);
        offered.is_some_and(|offered| offered.to_str().unwrap().contains("throughway"))
    });
    assert!(!with_token, "the app sees nothing of the token");
    world.nothing_left_the_prefix();
    world.end().await;
}

#[tokio::test]
async fn a_page_of_another_port_may_only_link() {
    let world = World::new().await;
    at_the_attackers(&world).await;
    let url = |path: &str| world.url(path);
    let script = format!(
        "(async () => {{
            const tried = (work) => work.then(() => 'sent', () => 'failed');
            const loads = (tag, at, url) => new Promise((done) => {{
                const element = document.createElement(tag);
                element.onload = () => done('loaded');
                element.onerror = () => done('failed');
                element[at] = url;
                document.body.append(element);
            }});
            const options = {{ mode: 'no-cors', credentials: 'include' }};
            await tried(fetch('{get}', options));
            await tried(fetch('{post}', {{ ...options, method: 'POST', body: 'x' }}));
            await tried(fetch('{cors}', {{ method: 'PUT', headers: {{ 'x-a': 'b' }} }}));
            await loads('img', 'src', '{image}');
            await loads('script', 'src', '{script}');
            await loads('iframe', 'src', '{frame}');
            navigator.sendBeacon('{beacon}', 'x');
            const readable = await fetch('{token}').then((answer) => answer.text(), () => 'unreadable');
            return readable;
        }})()",
        get = url("/api/get"),
        post = url("/api/post"),
        cors = url("/api/cors"),
        image = url("/img/stolen.svg"),
        script = url("/js/stolen.js"),
        frame = url("/blank/framed"),
        beacon = url("/api/beacon"),
        token = url("/.throughway/page-token"),
    );
    assert_eq!(world.tab.evaluate(&script).await, "unreadable");
    let form = format!(
        "(() => {{
            const form = document.createElement('form');
            form.method = 'post';
            form.action = '{}';
            document.body.append(form);
            form.submit();
        }})()",
        url("/api/form")
    );
    world.tab.evaluate(&form).await;
    world
        .tab
        .wait_for("document.body.innerText.includes('pages of other sites may only link here')")
        .await;
    assert!(world.app.seen().is_empty(), "{:#?}", world.app.seen());
    at_the_attackers(&world).await;
    let link = format!("location.href = '{}'", url("/blank/linked"));
    world.tab.evaluate(&link).await;
    world.arrives_at("/blank/linked").await;
    assert_eq!(arrived(&world, "/blank/linked").len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_page_that_makes_up_its_path_gets_no_cookie_of_another_app() {
    let world = World::new().await;
    // A document of the same origin that is no app's, and so has no page helper.
    let elsewhere = world.url("").replace(&prefix("app"), "/apis");
    world.tab.goto(&elsewhere).await;
    let app = prefix("app");
    let script = format!(
        "history.pushState(null, '', '/k8s/clusters/c-evil{app}/');
        fetch('{app}/login', {{ method: 'POST' }}).then((answer) => answer.status)"
    );
    assert_eq!(world.tab.evaluate(&script).await, 200);
    let kept = world.tab.command("Network.getAllCookies", json!({})).await;
    let kept = kept["cookies"].as_array().unwrap().iter();
    let mut paths: Vec<&str> = kept
        .map(|cookie| cookie["path"].as_str().unwrap())
        .collect();
    paths.dedup();
    assert_eq!(paths, [format!("{app}/")]);
    world.end().await;
}

#[tokio::test]
async fn no_page_chooses_the_host_that_an_app_sees() {
    let world = World::new().await;
    world.tab.goto(&world.url("/blank")).await;
    let script = "fetch('/api/host', { headers: { 'Throughway-Origin': 'http://evil.example' } })
        .then((answer) => answer.status)";
    assert_eq!(world.tab.evaluate(script).await, 400);
    assert!(arrived(&world, "/api/host").is_empty());
    world.end().await;
}

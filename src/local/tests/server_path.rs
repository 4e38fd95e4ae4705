//! A kubeconfig whose server has a path, as behind Rancher and other gateways of many clusters.

use axum::body::to_bytes;

use super::*;

const BEFORE: &str = "/k8s/clusters/c-abc";
const WEB: &str = "web.demo.svc.localhost:8001";

#[tokio::test]
async fn targets_their_ports_and_the_search_for_throughway_are_below_it() {
    let world = World::in_front_of(api_server, BEFORE, &[]).await;
    let response = world.ask(WEB, "GET /x?a=b", &TYPED).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        world.asked(),
        [
            format!("GET {BEFORE}/apis/throughway.dev/v1"),
            format!("GET {BEFORE}/api/v1/namespaces/demo/services/web"),
            format!("GET {BEFORE}/api/v1/namespaces/demo/services/web/proxy/x?a=b"),
        ]
    );
}

#[tokio::test]
async fn forwards_upgrades_and_envelopes_are_below_it() {
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket")];
    for (via, group) in [
        ("--via=throughway", "/apis/throughway.dev/v1"),
        ("--via=built-in", "/api/v1"),
    ] {
        let world = World::in_front_of(api_server, BEFORE, &[via]).await;
        let scope = ListenerScope::Target(Arc::new(target(WEB)));
        for lines in [&[][..], &upgrade] {
            let peer = PeerLocation::ThisMachine;
            world
                .ask_from(peer, &scope, "localhost:9090", "GET /", lines)
                .await;
        }
        let line = format!("GET {BEFORE}{group}/namespaces/demo/services/web/proxy/");
        let expected = [line.clone(), format!("{line} Upgrade: websocket")];
        assert_eq!(world.proxied(), expected, "{via}");
    }
}

#[tokio::test]
async fn the_start_page_asks_below_it_too() {
    let world = World::in_front_of(api_server, BEFORE, &[]).await;
    let response = world.ask(API, "GET /", &TYPED).await;
    assert_eq!(response.status(), 200);
    let asked = world.asked();
    assert!(!asked.is_empty());
    let is_below = |line: &String| line.split(' ').nth(1).unwrap().starts_with(BEFORE);
    assert!(asked.iter().all(is_below), "{asked:?}");
}

#[tokio::test]
async fn the_api_itself_is_below_it_with_kubectls_flag() {
    for (flags, before) in [(&[][..], ""), (&["--append-server-path"], BEFORE)] {
        let world = World::in_front_of(api_server, BEFORE, flags).await;
        world.ask(API, "GET /api/v1/pods", &[]).await;
        assert_eq!(world.asked(), [format!("GET {before}/api/v1/pods")]);
    }
}

#[tokio::test]
async fn links_lose_the_path_whether_it_stands_in_them_or_not() {
    fn with_links(path: &str) -> Response {
        if !path.contains("/proxy") {
            return api_server(path);
        }
        let prefix = "/api/v1/namespaces/demo/services/web/proxy";
        let links = format!("<a href={prefix}/a><a href={BEFORE}{prefix}/b><a href={BEFORE}/c>");
        let mut response = Response::new(Body::from(links));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        let to = HeaderValue::try_from(format!("{BEFORE}{prefix}/d")).unwrap();
        headers.insert(header::LOCATION, to);
        response
    }
    let world = World::in_front_of(with_links, BEFORE, &[]).await;
    let response = world.ask(WEB, "GET /", &TYPED).await;
    assert_eq!(response.headers()["location"], "/d");
    let page = to_bytes(response.into_body(), 1000).await.unwrap();
    let expected = format!("<a href=/a><a href=/b><a href={BEFORE}/c>");
    assert_eq!(page, expected.as_bytes());
}

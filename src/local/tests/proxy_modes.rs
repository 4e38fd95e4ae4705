//! By which of the cluster's proxies a target is reached, and with what.

use super::*;
use crate::protocol::status::Status;

const WEB: &str = "web.demo.svc.localhost:8001";

/// A cluster with Throughway, in whose group the user has no right.
fn without_right(path: &str) -> Response {
    if path == "/apis/throughway.dev/v1" {
        return empty(StatusCode::OK);
    }
    if path.starts_with("/apis/throughway.dev/") {
        return empty(StatusCode::FORBIDDEN);
    }
    api_server(path)
}

#[tokio::test]
async fn who_has_rights_at_the_built_in_proxy_alone_goes_there() {
    let world = World::in_front_of(without_right, "", &[]).await;
    let by_throughway = "GET /apis/throughway.dev/v1/namespaces/demo/services/web/proxy/";
    let built_in = "GET /api/v1/namespaces/demo/services/web/proxy/";
    for _ in 0..2 {
        assert_eq!(world.ask(WEB, "GET /", &[]).await.status(), 200);
    }
    assert_eq!(world.proxied(), [by_throughway, built_in, built_in]);
}

#[tokio::test]
async fn what_changes_something_is_not_sent_twice() {
    let world = World::in_front_of(without_right, "", &[]).await;
    assert_eq!(world.outcome(WEB, "DELETE /x", &[]).await, (403, 1));
    assert_eq!(world.outcome(WEB, "DELETE /x", &[]).await, (200, 1));
}

/// A cluster with Throughway that refuses in the words of `refusal` while that is not empty.
fn refusing(refusal: &str, path: &str) -> Response {
    if path == "/apis/throughway.dev/v1" {
        return empty(StatusCode::OK);
    }
    if !path.starts_with("/apis/throughway.dev/") {
        return api_server(path);
    }
    if !refusal.is_empty() {
        return Status::forbidden(refusal).into_response();
    }
    let mut response = empty(StatusCode::OK);
    let origin = HeaderValue::from_static("http://web.demo.svc.localhost:8001");
    response.headers_mut().insert("throughway-origin", origin);
    response
}

/// Rights are of a verb.
#[tokio::test]
async fn a_refused_write_takes_no_read_to_the_built_in_proxy() {
    static REFUSAL: Mutex<&str> = Mutex::new("");
    let world = World::in_front_of(|path| refusing(*REFUSAL.lock().unwrap(), path), "", &[]).await;
    *REFUSAL.lock().unwrap() =
        "services.throughway.dev \"web\" is forbidden: User \"alice\" cannot";
    for method in ["PUT", "PATCH", "DELETE"] {
        let line = format!("{method} /");
        assert_eq!(world.outcome(WEB, &line, &[]).await, (403, 1), "{method}");
    }
    *REFUSAL.lock().unwrap() = "";
    for (method, sent) in [
        ("GET", "GET /apis"),
        ("HEAD", "HEAD /apis"),
        ("POST", "POST /apis"),
        ("OPTIONS", "POST /apis"),
        ("DELETE", "DELETE /api/"),
    ] {
        world.ask(WEB, &format!("{method} /"), &[]).await;
        let proxied = world.proxied();
        let last = proxied.last().unwrap();
        assert!(last.starts_with(sent), "{method}: {last}");
    }
}

/// What is let through for nobody says nothing of rights.
#[tokio::test]
async fn a_refusal_that_is_not_about_rights_is_the_response() {
    static REFUSAL: Mutex<&str> = Mutex::new("a kubelet is asked here only for /metrics");
    let world = World::in_front_of(|path| refusing(*REFUSAL.lock().unwrap(), path), "", &[]).await;
    assert_eq!(world.outcome(WEB, "GET /", &[]).await, (403, 1));
    *REFUSAL.lock().unwrap() = "";
    world.ask(WEB, "GET /metrics", &[]).await;
    let proxied = world.proxied();
    assert!(proxied[1].starts_with("GET /apis"), "{proxied:?}");
}

#[tokio::test]
async fn where_a_way_was_named_there_is_no_other() {
    let world = World::in_front_of(without_right, "", &["--via=throughway"]).await;
    for _ in 0..2 {
        assert_eq!(world.outcome(WEB, "GET /", &[]).await, (403, 1));
    }
}

#[tokio::test]
async fn a_service_that_was_made_after_somebody_asked_is_found() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static IS_MADE: AtomicBool = AtomicBool::new(false);
    fn late(path: &str) -> Response {
        if path.ends_with("/services/web") && !IS_MADE.load(Ordering::SeqCst) {
            return Status::not_found("services \"web\" not found").into_response();
        }
        api_server(path)
    }
    let world = World::in_front_of(late, "", &[]).await;
    assert_eq!(world.ask(WEB, "GET /", &[]).await.status(), 404);
    IS_MADE.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(world.ask(WEB, "GET /", &[]).await.status(), 200);
    }
    let asked = world.asked();
    let looks = asked.iter().filter(|line| line.ends_with("/services/web"));
    assert_eq!(looks.count(), 2, "what was found is kept: {asked:?}");
}

#[tokio::test]
async fn a_target_hears_by_either_way_that_trailers_are_read() {
    let trailers = [("te", "gzip, trailers"), ("connection", "te")];
    for (via, group) in [
        ("--via=throughway", "/apis/throughway.dev/v1"),
        ("--via=built-in", "/api/v1"),
    ] {
        let world = World::new(&[via]).await;
        world.ask(WEB, "POST /", &trailers).await;
        let path = format!("{group}/namespaces/demo/services/web/proxy/");
        let expected = format!("POST {path} TE: trailers");
        assert_eq!(world.proxied(), [expected], "{via}");
    }
}

/// What Java and `curl --http2` send with every first request. The built-in proxy and kube-aggregator take it for an
/// upgrade.
#[tokio::test]
async fn an_offer_of_http2_is_none_of_the_way_to_the_target_nor_to_the_api() {
    let offer = |protocols| {
        [
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", protocols),
            ("http2-settings", "AAMAAABkAAQBAAAAAAIAAAAA"),
        ]
    };
    for (via, path) in [
        ("--via=throughway", "/apis/throughway.dev/v1"),
        ("--via=built-in", "/api/v1"),
    ] {
        let world = World::new(&[via]).await;
        let line = format!("GET {path}/namespaces/demo/services/web/proxy/");
        world.ask(WEB, "GET /", &offer("h2c")).await;
        world.ask(WEB, "GET /", &offer("H2C, websocket")).await;
        let expected = [line.clone(), format!("{line} Upgrade: websocket")];
        assert_eq!(world.proxied(), expected, "{via}");
    }
    let world = World::new(&[]).await;
    let response = world.ask(API, "GET /version", &offer("h2c")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(world.asked(), ["GET /version"]);
}

#[tokio::test]
async fn a_page_climbs_out_of_its_target_by_no_escape() {
    let world = World::new(&[]).await;
    for path in ["/..%2f..%2f..%2fapi/v1/secrets", "/%2e%2e%5cx"] {
        let line = format!("GET {path}");
        assert_eq!(world.outcome(WEB, &line, &[]).await, (400, 0), "{path}");
    }
}

#[tokio::test]
async fn a_name_that_no_target_has_is_the_apis_where_a_rule_says_so() {
    for (flags, code) in [(&[][..], 404), (&["--accept-hosts=^k8s.localhost$"], 200)] {
        let world = World::new(flags).await;
        let response = world.ask("k8s.localhost:8001", "GET /api", &[]).await;
        assert_eq!(response.status(), code, "{flags:?}");
    }
}

/// nginx-proxy#287: WebDAV.
#[tokio::test]
async fn a_method_that_the_api_knows_no_verb_for_travels_inside_and_others_do_not() {
    let world = World::new(&["--via=throughway"]).await;
    for method in ["PROPFIND", "REPORT", "OPTIONS", "POST", "DELETE", "TRACE"] {
        world.ask(WEB, &format!("{method} /dav/?x"), &[]).await;
    }
    let path = "/apis/throughway.dev/v1/namespaces/demo/services/web/proxy/";
    let methods = ["POST", "POST", "POST", "POST", "DELETE", "TRACE"];
    assert_eq!(
        world.proxied(),
        methods.map(|method| format!("{method} {path}"))
    );
    let inside = ["PROPFIND /dav/?x", "REPORT /dav/?x", "OPTIONS /dav/?x"];
    let others = ["/dav/?x"; 3];
    assert_eq!(*world.raw_paths.lock().unwrap(), [inside, others].concat());
}

#[tokio::test]
async fn the_rules_see_the_method_that_the_browser_sent() {
    let flags = ["--via=throughway", "--reject-methods=^(MOVE|DELETE)$"];
    let world = World::new(&flags).await;
    assert_eq!(world.outcome(WEB, "MOVE /x", &[]).await, (403, 0));
    assert_eq!(world.outcome(WEB, "COPY /x", &[]).await.1, 1);
}

#[tokio::test]
async fn a_service_without_a_tcp_port_is_not_asked_for_one() {
    fn of_udp(path: &str) -> Response {
        if !path.ends_with("/services/web") {
            return api_server(path);
        }
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "demo"},
            "spec": {"ports": [{"port": 53, "protocol": "UDP"}]}});
        let mut response = Response::new(Body::from(service.to_string()));
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
    let world = World::in_front_of(of_udp, "", &[]).await;
    for (reader, words) in [
        (&[][..], "the Service web has no TCP port"),
        (&TYPED, "It has no port that can be reached"),
    ] {
        let response = world.ask(WEB, "GET /", reader).await;
        assert_eq!(response.status(), 404);
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        let said = String::from_utf8(body.unwrap().to_vec()).unwrap();
        assert!(said.contains(words) && !said.contains("name one"), "{said}");
    }
}

/// A cluster whose Throughway has a group of its own.
fn with_another_group(path: &str) -> Response {
    if !path.starts_with("/apis/gate.example.org/") {
        return api_server(path);
    }
    let mut response = empty(StatusCode::OK);
    let origin = HeaderValue::from_static("http://web.demo.svc.localhost:8001");
    response.headers_mut().insert("throughway-origin", origin);
    response
}

#[tokio::test]
async fn a_throughway_of_another_group_is_found_by_its_flag() {
    let flags = ["--api-group=gate.example.org"];
    let world = World::in_front_of(with_another_group, "", &flags).await;
    assert_eq!(world.ask(WEB, "GET /", &[]).await.status(), 200);
    let by_throughway = "GET /apis/gate.example.org/v1/namespaces/demo/services/web/proxy/";
    assert_eq!(world.proxied(), [by_throughway]);
    let page = "GET /apis/gate.example.org/v1/namespaces/demo/services/web/proxy/x";
    let response = world.ask(API, page, &TYPED).await;
    assert_eq!(response.status(), 307);
    let location = &response.headers()["location"];
    assert_eq!(location, "http://web.demo.svc.localhost:8001/x");
    assert_eq!(world.proxied().len(), 1);
}

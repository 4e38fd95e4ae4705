//! What an open page hears, and what looking costs the API server.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use http::Request;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{LIMIT, World};
use crate::local::targets::mode::ProxyMode;
use axum::body::{Body, Bytes};

/// What an open page hears.
struct Listening(Pin<Box<dyn Stream<Item = Bytes> + Send>>);

fn head(path: &str) -> crate::protocol::status::Request {
    let request = Request::get(path).header("host", "localhost:8001");
    request.body(Body::empty()).unwrap()
}

impl Listening {
    async fn to(world: &World) -> Self {
        let response = world.page.asset(&head("/.throughway/live")).unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let pieces = response.into_body().into_data_stream();
        Self(Box::pin(pieces.map(|piece| piece.unwrap())))
    }

    /// The next event that is about what is wanted.
    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let listening = async {
            loop {
                let piece = self.0.next().await.expect("the stream goes on");
                let text = std::str::from_utf8(&piece).unwrap();
                let Some(data) = text.strip_prefix("data: ") else {
                    assert_eq!(text, ":\n\n");
                    continue;
                };
                let event: Value =
                    serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap();
                if wanted(&event) {
                    return event;
                }
            }
        };
        tokio::time::timeout(LIMIT, listening)
            .await
            .expect("it is told")
    }
}

fn notices(event: &Value) -> &str {
    event["notices"].as_str().unwrap()
}

fn order(event: &Value) -> &Value {
    &event["order"]
}

#[tokio::test]
async fn an_open_page_hears_only_what_has_changed() {
    let world = World::new();
    world.api.service("a", "web", &json!([{"port": 80}]));
    world.api.service("b", "web", &json!([{"port": 80}]));
    world.text().await;
    let mut page = Listening::to(&world).await;
    let all = page.until(|_| true).await;
    assert_eq!(order(&all), &json!(["ns-a", "ns-b"]));
    assert_eq!(all["changed"].as_object().unwrap().len(), 2);
    world.api.endpoints("b", "web", &[true]);
    let event = page.until(|_| true).await;
    assert_eq!(order(&event), &json!(["ns-a", "ns-b"]));
    assert_eq!(event["changed"].as_object().unwrap().len(), 1);
    assert!(
        event["changed"]["ns-b"]
            .as_str()
            .unwrap()
            .contains("1 ready")
    );
    world.api.remove("services", "a", "web");
    let event = page.until(|event| order(event) == &json!(["ns-b"])).await;
    assert_eq!(event["changed"], json!({}));
    assert_eq!(event["summary"], "1 service in 1 namespace");
}

#[tokio::test(start_paused = true)]
async fn another_way_is_told_with_its_links() {
    let world = World::with_mode(ProxyMode::Unknown);
    world
        .api
        .service("demo", "web", &json!([{"port": 80, "name": "http"}]));
    world.text().await;
    let mut page = Listening::to(&world).await;
    page.until(|event| order(event) == &json!(["ns-demo"]))
        .await;
    world
        .mode
        .send_replace(ProxyMode::Throughway("throughway.dev".into()));
    let link = "http://web.demo.svc.localhost:8001/";
    let has_link = |event: &Value| {
        event["changed"]["ns-demo"]
            .as_str()
            .is_some_and(|html| html.contains(link))
    };
    page.until(has_link).await;
}

#[tokio::test]
async fn a_service_that_comes_later_is_asked_for_its_rights() {
    let world = World::new();
    world.api.rules(
        "demo",
        throughway_testing::fake_api::rules_status(&["late"]),
    );
    world.text().await;
    let mut page = Listening::to(&world).await;
    world.api.service("demo", "late", &json!([{"port": 80}]));
    let has_link = |event: &Value| {
        event["changed"]["ns-demo"]
            .as_str()
            .is_some_and(|html| html.contains("href"))
    };
    page.until(has_link).await;
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_and_goes_when_the_cluster_is_back() {
    let world = World::new();
    world.api.responses("/", 503);
    world.text().await;
    let mut page = Listening::to(&world).await;
    page.until(|event| event["notices"].as_str().unwrap().contains("503"))
        .await;
    world.api.responses("/", 0);
    world.api.service("demo", "web", &json!([{"port": 80}]));
    let event = page
        .until(|event| order(event) == &json!(["ns-demo"]))
        .await;
    assert_eq!(event["notices"], "");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_when_nobody_looked_for_some_minutes_until_somebody_does() {
    let world = World::new();
    world.api.service("demo", "web", &json!([{"port": 80}]));
    world.text().await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    let before = world.api.asked().len();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.api.asked().len(), before);
    world.api.service("demo", "new", &json!([{"port": 80}]));
    assert!(world.text().await.contains("new.demo.svc.localhost"));
}

#[tokio::test(start_paused = true)]
async fn an_open_page_is_told_after_five_seconds_that_the_cluster_does_not_respond() {
    let world = World::new();
    world.api.falls_silent();
    let start = Instant::now();
    let mut page = Listening::to(&world).await;
    page.until(|event| notices(event).contains("The API server does not answer"))
        .await;
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_responds_with_errors_is_never_said_to_be_silent() {
    let world = World::new();
    world.api.responses("/", 500);
    let mut page = Listening::to(&world).await;
    let ending = tokio::time::sleep(Duration::from_secs(15));
    let closed = async {
        loop {
            let event = page.until(|event| !notices(event).is_empty()).await;
            assert!(notices(&event).contains("answered 500"), "{event}");
        }
    };
    tokio::select! {
        () = ending => {}
        () = closed => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_comes_back_with_a_refusal_is_no_longer_said_to_be_away() {
    let world = World::new();
    world.api.responses("/", 503);
    world.text().await;
    let mut page = Listening::to(&world).await;
    page.until(|event| notices(event).contains("503")).await;
    world.api.responses("/", 0);
    world.api.responses("/api/v1", 403);
    let event = page
        .until(|event| notices(event).contains("No right to list Services"))
        .await;
    assert!(!notices(&event).contains("503"), "{event}");
}

#[tokio::test]
async fn an_open_page_does_not_hold_up_the_end() {
    let world = World::new();
    world.text().await;
    let mut page = Listening::to(&world).await;
    page.until(|_| true).await;
    let end = world.tasks.end(Duration::ZERO, LIMIT);
    let stream_end = async { while page.0.next().await.is_some() {} };
    let both = async { tokio::join!(end, stream_end) };
    let (is_graceful, ()) = tokio::time::timeout(LIMIT, both)
        .await
        .expect("the stream ends");
    assert!(is_graceful, "a task had to be aborted");
}

//! What an open page hears, and what looking costs the API server.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use http::Request;
use serde_json::{Value, json};

use super::{LIMIT, World};
use crate::local::start_page::WayFact;
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
    let news = page.until(|_| true).await;
    assert_eq!(order(&news), &json!(["ns-a", "ns-b"]));
    assert_eq!(news["changed"].as_object().unwrap().len(), 1);
    assert!(
        news["changed"]["ns-b"]
            .as_str()
            .unwrap()
            .contains("1 ready")
    );
    world.api.remove("services", "a", "web");
    let news = page.until(|event| order(event) == &json!(["ns-b"])).await;
    assert_eq!(news["changed"], json!({}));
    assert_eq!(news["summary"], "1 service in 1 namespace");
}

#[tokio::test(start_paused = true)]
async fn another_way_is_told_with_its_links() {
    let world = World::going(WayFact::Unknown);
    world
        .api
        .service("demo", "web", &json!([{"port": 80, "name": "http"}]));
    world.text().await;
    let mut page = Listening::to(&world).await;
    page.until(|event| order(event) == &json!(["ns-demo"]))
        .await;
    world.way.send_replace(WayFact::Throughway);
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
    world
        .api
        .rules("demo", super::fake_api::rules_status(&["late"]));
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
    world.api.answers("/", 503);
    world.text().await;
    let mut page = Listening::to(&world).await;
    page.until(|event| event["notices"].as_str().unwrap().contains("503"))
        .await;
    world.api.answers("/", 0);
    world.api.service("demo", "web", &json!([{"port": 80}]));
    let news = page
        .until(|event| order(event) == &json!(["ns-demo"]))
        .await;
    assert_eq!(news["notices"], "");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_when_nobody_looked_for_some_minutes_until_somebody_does() {
    let world = World::new();
    world.api.service("demo", "web", &json!([{"port": 80}]));
    world.text().await;
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    let before = world.api.asked().len();
    tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    assert_eq!(world.api.asked().len(), before);
    world.api.service("demo", "new", &json!([{"port": 80}]));
    assert!(world.text().await.contains("new.demo.svc.localhost"));
}

#[tokio::test]
async fn an_open_page_does_not_hold_up_the_end() {
    let world = World::new();
    world.text().await;
    let mut page = Listening::to(&world).await;
    page.until(|_| true).await;
    let end = world.tasks.end(std::time::Duration::ZERO, LIMIT);
    let (_, rest) = tokio::join!(end, async { while page.0.next().await.is_some() {} });
    let () = rest;
}

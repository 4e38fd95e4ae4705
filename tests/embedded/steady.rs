//! When nothing fails: what the API server is asked, and what the front proxy lets through.

use throughway_testing::client::Client;

use crate::{ANY_PORT, Setting, service};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_costs_no_api_call_once_its_responses_are_known() {
    let s = Setting::new().await;
    assert_eq!(
        s.get("alice", &service("web", "/")).await.text(),
        "hello from web-0"
    );
    let before = s.cluster.api.asked_in_all();
    for _ in 0..100 {
        s.assert_alice_is_served().await;
    }
    assert_eq!(s.cluster.api.asked_in_all(), before);
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_to_the_api_server_says_who_makes_it() {
    let s = Setting::new().await;
    s.get("alice", &service("web", "/")).await;
    let own = format!("throughway/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(s.cluster.api.agents(), [own].into());
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_callers_at_once_are_two_reviews_and_few_connections() {
    let s = Setting::new().await;
    let path = service("web", "/");
    let all = futures_util::future::join_all((0..100).map(|_| s.get("alice", &path))).await;
    assert!(all.iter().all(|response| response.status.is_success()));
    assert_eq!(
        (
            s.cluster.api.asked("tokenreviews"),
            s.cluster.api.asked("subjectaccessreviews")
        ),
        (1, 1)
    );
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_front_proxy_the_user_is_known_and_a_redirect_is_followed() {
    let s = Setting::new().await;
    let front_proxy = s
        .cluster
        .front_proxy(ANY_PORT.into(), s.address)
        .await
        .unwrap();
    // Throughway has to have read the ConfigMap that says whom to believe.
    let alice = Client::new(front_proxy.address, None).with_token("alice-token");
    s.until("the front proxy is believed", async |_| {
        alice.get(&service("web", "/")).await.status.is_success()
    })
    .await;
    let echoed = alice.get(&service("web", "/echo?b=1&a")).await.json();
    assert_eq!(echoed["uri"], "/echo?a=&b=1", "the query was encoded again");
    assert!(!echoed["headers"].to_string().contains("x-remote"));
    assert_eq!(
        s.cluster.api.asked("tokenreviews"),
        0,
        "the front proxy had asked"
    );
    let redirected = alice
        .get(&service("web", "/status/302?location=%2Flogin"))
        .await;
    assert_eq!(redirected.status, 200);
    assert_eq!(
        redirected.headers["throughway-location"],
        service("web", "/login").as_str()
    );
    let bob = Client::new(front_proxy.address, None).with_token("bob-token");
    assert_eq!(bob.get(&service("web", "/")).await.status, 403);
    s.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_object_is_found_before_its_watch_has_it_and_a_deleted_one_is_gone() {
    let s = Setting::new().await;
    s.cluster
        .service("demo", "late", 80, &[("web-0", s.backend.address)]);
    s.until("the new service is served", async |s| {
        s.get("root", &service("late", "/"))
            .await
            .status
            .is_success()
    })
    .await;
    s.cluster.store.delete("services", "demo", "late");
    s.until("the deleted service is gone", async |s| {
        s.get("root", &service("late", "/")).await.status == 404
    })
    .await;
    s.end().await;
}

//! An API server that takes requests and responds to none: each is asked again in time.

use std::time::Duration;

use super::odd_objects::watched;
use super::*;

/// The next question, and how many seconds it took to come.
async fn next(handle: &mut Handle) -> (String, u64) {
    let begun = Instant::now();
    let (asked, pending) = handle.next_request().await.expect("a question");
    // Who asked waits for it as long as it is there.
    std::mem::forget(pending);
    (asked.uri().to_string(), begun.elapsed().as_secs())
}

/// The pause after a failure is half a minute at the most.
#[tokio::test(start_paused = true)]
async fn a_list_that_does_not_come_is_asked_for_again_after_a_minute() {
    let (client, mut handle) = client();
    let tasks = Tasks::new();
    let _cluster = watched(&client, &tasks);
    let (first, _) = next(&mut handle).await;
    let (again, waited) = next(&mut handle).await;
    assert_eq!(first, again);
    assert!((60..=90).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_not_accepted_is_asked_for_again_after_half_a_minute() {
    let (client, mut handle) = client();
    let tasks = Tasks::new();
    let _cluster = watched(&client, &tasks);
    respond(&mut handle, 200, list(&[], "1", "")).await;
    let (first, _) = next(&mut handle).await;
    assert!(first.contains("watch="), "{first}");
    let (again, waited) = next(&mut handle).await;
    assert!(again.contains("watch="), "{again}");
    assert!((30..=60).contains(&waited), "{waited}");
}

/// Whatever their kinds: a page may be large.
#[tokio::test(start_paused = true)]
async fn one_page_of_a_list_is_under_way_at_a_time() {
    let (client, mut handle) = client();
    let tasks = Tasks::new();
    let cluster = watched(&client, &tasks);
    let (apply, confirm) = (Cluster::apply_pod, Cluster::confirm_pods);
    let pods = watch::supervise(client.clone(), cluster.clone(), apply, confirm);
    tasks.spawn_background(pods);
    let (_, send) = handle.next_request().await.expect("a list");
    let second = tokio::time::timeout(Duration::from_secs(1), handle.next_request());
    assert!(second.await.is_err(), "two pages at once");
    send.send_response(Response::new(Body::from(list(&[], "1", ""))));
    handle.next_request().await.expect("the other list");
}

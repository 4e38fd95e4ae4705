//! How long what is known is believed, and whose an address is.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::serve::cluster::pods::RawPod;

fn kept(cluster: &Cluster, object: &Value) -> Arc<Pod> {
    cluster.apply_pod(applied(object));
    let name = object["metadata"]["name"].as_str().unwrap();
    cluster.pod("demo", name).unwrap()
}

fn started(name: &str, ip: &str, start: &str) -> Value {
    let mut object = pod(name, ip);
    object["status"]["startTime"] = json!(start);
    object
}

#[tokio::test]
async fn a_pod_that_has_ended_has_no_address() {
    let cluster = Cluster::empty(client().0, events::channel().0);
    let ip: IpAddr = "10.77.0.10".parse().unwrap();
    for phase in ["Succeeded", "Failed"] {
        let mut done = pod("done", "10.77.0.10");
        done["status"]["phase"] = json!(phase);
        let done = kept(&cluster, &done);
        assert!(done.ips.is_empty() && done.phase == Phase::Ended, "{phase}");
        assert!(!cluster.is_a_pods(ip), "{phase}");
    }
}

#[tokio::test]
async fn an_address_belongs_to_the_live_pod_that_started_last() {
    let cluster = Cluster::empty(client().0, events::channel().0);
    let ip: IpAddr = "10.77.0.10".parse().unwrap();
    let old = kept(
        &cluster,
        &started("old", "10.77.0.10", "2026-01-01T00:00:00Z"),
    );
    assert!(cluster.is_address_of(ip, &old), "it is the only one");
    let new = kept(
        &cluster,
        &started("new", "10.77.0.10", "2026-01-01T00:00:05Z"),
    );
    assert!(cluster.is_address_of(ip, &new) && !cluster.is_address_of(ip, &old));
    let twin = kept(
        &cluster,
        &started("twin", "10.77.0.10", "2026-01-01T00:00:05Z"),
    );
    let nobody = !cluster.is_address_of(ip, &twin) && !cluster.is_address_of(ip, &new);
    assert!(nobody, "it can't be told whose it is");
    cluster.apply_pod(Change::<RawPod>::Removed(ObjectKey::new(
        Some("demo"),
        "twin",
    )));
    let mut ended = started("new", "10.77.0.10", "2026-01-01T00:00:05Z");
    ended["status"]["phase"] = json!("Succeeded");
    cluster.apply_pod(applied(&ended));
    assert!(cluster.is_address_of(ip, &old), "the others have gone");
    cluster.apply_pod(Change::<RawPod>::ListBegins);
    cluster.apply_pod(Change::<RawPod>::ListEnds);
    assert!(!cluster.is_a_pods(ip), "an empty list leaves nobody");
}

#[tokio::test]
async fn a_pod_with_its_nodes_network_does_not_take_a_pods_address() {
    let cluster = Cluster::empty(client().0, events::channel().0);
    let ip: IpAddr = "10.77.0.10".parse().unwrap();
    let mut host = started("host", "10.77.0.10", "2026-01-01T00:00:09Z");
    host["spec"]["hostNetwork"] = json!(true);
    let host = kept(&cluster, &host);
    assert!(cluster.is_address_of(ip, &host) && !cluster.is_a_pods(ip));
    let own = kept(
        &cluster,
        &started("own", "10.77.0.10", "2026-01-01T00:00:00Z"),
    );
    assert!(cluster.is_address_of(ip, &own) && !cluster.is_address_of(ip, &host));
}

#[tokio::test]
async fn a_thousand_pods_that_claim_one_address_are_a_few() {
    let cluster = Cluster::empty(client().0, events::channel().0);
    for at in 0..1000 {
        kept(
            &cluster,
            &started(
                &format!("p{at}"),
                "10.77.0.10",
                &format!("2026-01-01T00:{:02}:{:02}Z", at / 60, at % 60),
            ),
        );
    }
    let ip = "10.77.0.10".parse().unwrap();
    assert_eq!(cluster.0.addresses.claims(ip), 16);
    let last = cluster.pod("demo", "p999").unwrap();
    assert!(cluster.is_address_of(ip, &last));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_confirms_is_asked_for_and_then_not_served() {
    let (client, mut handle) = client();
    let cluster = Cluster::empty(client, events::channel().0);
    cluster.confirm_pods();
    assert!(
        !cluster.synced(),
        "a sign of life before the first list confirms nothing"
    );
    cluster.apply_pod(applied(&pod("web-0", "10.77.0.10")));
    cluster.confirm_all();
    let known = cluster.find_pod("demo", "web-0").await.unwrap().unwrap();
    assert_eq!(known.ips.len(), 1, "from memory, or this would hang");
    tokio::time::advance(table::CONFIRM_AFTER).await;
    assert!(cluster.synced() && !cluster.pods_are_current());
    let (asked, path) = tokio::join!(
        cluster.find_pod("demo", "web-0"),
        respond(&mut handle, 404, status(404))
    );
    assert_eq!(path, "/api/v1/namespaces/demo/pods/web-0");
    assert!(asked.unwrap().is_none(), "it has gone meanwhile");
    cluster.confirm_pods();
    assert!(
        cluster.find_pod("demo", "web-0").await.unwrap().is_some(),
        "a bookmark confirms it"
    );
    cluster.confirm_all();
    tokio::time::advance(table::STALE_AFTER - Duration::from_millis(1)).await;
    assert!(cluster.synced());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!cluster.synced());
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_confirms_and_a_silent_watch_is_resumed_from_it() {
    let (client, mut handle) = client();
    let tasks = Tasks::new();
    let cluster = Cluster::empty(client.clone(), events::channel().0);
    let (apply, confirm) = (Cluster::apply_pod, Cluster::confirm_pods);
    tasks.spawn_background(watch::supervise(client, cluster.clone(), apply, confirm));
    respond(&mut handle, 200, list(&[pod("a", "10.77.0.10")], "1", "")).await;
    let (request, send) = handle.next_request().await.unwrap();
    assert!(request.uri().to_string().contains("resourceVersion=1"));
    let (mut lines, body) = tokio::io::duplex(4096);
    let body = futures_util::stream::unfold(body, |mut body| async move {
        let mut piece = vec![0; 4096];
        let length = tokio::io::AsyncReadExt::read(&mut body, &mut piece)
            .await
            .ok()?;
        (length > 0).then(|| (Ok::<_, std::io::Error>(piece[..length].to_vec()), body))
    });
    send.send_response(Response::new(Body::from_stream(body)));
    let bookmark = json!({"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "44"}}});
    let bookmark = bookmark.to_string() + "\n";
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        tokio::io::AsyncWriteExt::write_all(&mut lines, bookmark.as_bytes())
            .await
            .unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        cluster.pods_are_current(),
        "five minutes without a change, but not without a word"
    );
    let (request, _) = handle.next_request().await.unwrap();
    assert!(
        request.uri().to_string().contains("resourceVersion=44"),
        "{}",
        request.uri()
    );
    assert_eq!(cluster.watch_failures(), 0, "silence is no failure");
}

fn watching_pods(client: &kube::Client, tasks: &Tasks) -> Cluster {
    let cluster = Cluster::empty(client.clone(), events::channel().0);
    let (apply, confirm) = (Cluster::apply_pod, Cluster::confirm_pods);
    tasks.spawn_background(watch::supervise(
        client.clone(),
        cluster.clone(),
        apply,
        confirm,
    ));
    cluster
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_changes_and_bookmarks_does_not_look_stale() {
    let (client, mut handle) = client();
    let tasks = Tasks::new();
    let cluster = watching_pods(&client, &tasks);
    respond(&mut handle, 200, list(&[pod("a", "10.77.0.10")], "7", "")).await;
    let started = Instant::now();
    let mut open = Vec::new();
    while started.elapsed() < 2 * table::STALE_AFTER {
        // Time goes on by itself up to the moment at which the silent watch is resumed.
        let (request, send) = handle.next_request().await.unwrap();
        assert!(cluster.pods_are_current(), "after {:?}", started.elapsed());
        assert!(request.uri().to_string().contains("resourceVersion=7"));
        let (line, body) = tokio::io::duplex(64);
        open.push(line);
        let silent = futures_util::stream::unfold(body, |mut body| async move {
            let length = tokio::io::AsyncReadExt::read(&mut body, &mut [0; 64])
                .await
                .ok()?;
            (length > 0).then(|| (Ok::<_, std::io::Error>(Vec::new()), body))
        });
        send.send_response(Response::new(Body::from_stream(silent)));
    }
    assert_eq!(cluster.watch_failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_can_not_be_resumed_is_given_up_after_a_few_tries() {
    let (client, mut handle) = client();
    let tasks = Tasks::new();
    let cluster = watching_pods(&client, &tasks);
    respond(&mut handle, 200, list(&[pod("a", "10.77.0.10")], "7", "")).await;
    let (mut tries, begun) = (0, Instant::now());
    loop {
        // What an API server says to a version that it has not reached.
        let asked = respond(&mut handle, 504, status(504)).await;
        if !asked.contains("watch=") {
            break;
        }
        tries += 1;
        assert!(tries < 20, "it would be resumed for ever");
    }
    assert_eq!(tries, 5);
    assert!(begun.elapsed().as_secs() >= 5, "without a pause");
    let freshness = cluster.0.pods.freshness(Instant::now());
    assert!(freshness < Freshness::Stale, "later than it is believed");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_always_forgotten_is_not_listed_without_a_pause() {
    let (client, mut handle) = client();
    let tasks = Tasks::new();
    let _cluster = watching_pods(&client, &tasks);
    let started = Instant::now();
    for _ in 0..10 {
        respond(&mut handle, 200, list(&[], "7", "")).await;
        respond(&mut handle, 410, status(410)).await;
    }
    assert!(
        started.elapsed() > Duration::from_secs(60),
        "ten lists in {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn what_is_no_name_is_asked_of_nobody() {
    let (client, handle) = client();
    drop(handle);
    let cluster = Cluster::empty(client, events::channel().0);
    for (namespace, name) in [
        ("kube-system%2Fpods%2Fetcd#", "x"),
        ("a/b", "x"),
        ("a", ".."),
    ] {
        let found = cluster.find_pod(namespace, name).await;
        assert!(found.expect("nobody was asked").is_none(), "{namespace}");
    }
}

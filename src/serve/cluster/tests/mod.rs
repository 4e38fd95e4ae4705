//! The indexes, fed with events by hand; the watch and the second look, against an API server that the test plays.

mod believed;
pub(crate) mod fuzz;
mod odd_objects;
mod stalled;

use axum::body::Body;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower_test::mock;

use super::change::Change;
use super::object::{Object, ObjectContent, ReadObject};
use super::table::{Freshness, ObjectKey};
use super::*;

type Handle = mock::Handle<Request<kube::client::Body>, Response<Body>>;

fn client() -> (kube::Client, Handle) {
    let (service, handle) = mock::pair();
    (kube::Client::new(service, "default"), handle)
}

pub(super) fn known<C: ObjectContent>(object: &Value) -> ReadObject<C> {
    let object: Object<C> = serde_json::from_str(&object.to_string()).unwrap();
    object.known().expect("the object is one of its kind")
}

/// The change that brings an object.
pub(super) fn applied<C: ObjectContent>(object: &Value) -> Change<C> {
    Change::Applied(known(object))
}

fn listed<C: ObjectContent>(object: &Value) -> Change<C> {
    Change::Listed(known(object))
}

fn pod(name: &str, ip: &str) -> Value {
    json!({"metadata": {"namespace": "demo", "name": name, "annotations": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"name": "web", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}})
}

fn slice(name: &str, service: Option<&str>, ip: &str) -> Value {
    let labels = service.map(|service| json!({"kubernetes.io/service-name": service}));
    json!({"metadata": {"namespace": "demo", "name": name, "labels": labels}, "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "none"}],
        "endpoints": [{"addresses": [ip], "conditions": {"ready": true},
            "targetRef": {"kind": "Pod", "namespace": "demo", "name": "web-0"}}]})
}

#[tokio::test]
async fn a_pod_is_kept_with_addresses_and_ports_alone() {
    let cluster = Cluster::empty(client().0, events::channel().0);
    cluster.apply_pod(applied(&pod("web-0", "10.77.0.10")));
    let kept = cluster.pod("demo", "web-0").unwrap();
    assert_eq!(
        *kept.ips,
        ["10.77.0.10".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!((&*kept.ports[0].name, kept.ports[0].number), ("web", 8080));
    assert!(cluster.pod("other", "web-0").is_none());
}

#[tokio::test]
async fn what_a_new_list_does_not_bring_is_gone() {
    let cluster = Cluster::empty(client().0, events::channel().0);
    cluster.apply_pod(applied(&pod("old", "10.77.0.10")));
    let freshness = || cluster.0.pods.freshness(Instant::now());
    assert_eq!(freshness(), Freshness::Stale, "there was no whole list yet");
    cluster.apply_pod(Change::ListBegins);
    cluster.apply_pod(listed(&pod("new", "10.77.0.11")));
    assert!(
        cluster.pod("demo", "old").is_some(),
        "the list is not whole yet"
    );
    cluster.apply_pod(Change::ListEnds);
    assert!(cluster.pod("demo", "old").is_none() && cluster.pod("demo", "new").is_some());
    assert_eq!(freshness(), Freshness::Current);
}

#[tokio::test]
async fn slices_are_gathered_by_service_and_follow_their_label() {
    let cluster = Cluster::empty(client().0, events::channel().0);
    cluster.apply_slice(applied(&slice("a", Some("web"), "10.77.0.10")));
    cluster.apply_slice(applied(&slice("b", Some("web"), "10.77.0.11")));
    assert_eq!(cluster.slices("demo", "web").unwrap().len(), 2);
    cluster.apply_slice(applied(&slice("b", Some("api"), "10.77.0.11")));
    assert_eq!(cluster.slices("demo", "web").unwrap().len(), 1);
    assert_eq!(cluster.slices("demo", "api").unwrap().len(), 1);
    cluster.apply_slice(applied(&slice("b", None, "10.77.0.11")));
    assert!(cluster.slices("demo", "api").is_none());
    cluster.apply_slice(Change::Removed(ObjectKey::new(Some("demo"), "a")));
    assert!(cluster.slices("demo", "web").is_none());
}

#[tokio::test]
async fn a_new_list_of_slices_drops_the_old_ones() {
    let cluster = Cluster::empty(client().0, events::channel().0);
    cluster.apply_slice(applied(&slice("a", Some("web"), "10.77.0.10")));
    cluster.apply_slice(Change::ListBegins);
    cluster.apply_slice(listed(&slice("b", Some("web"), "10.77.0.11")));
    cluster.apply_slice(Change::ListEnds);
    let slices = cluster.slices("demo", "web").unwrap();
    assert_eq!(
        slices.iter().map(|slice| &*slice.name).collect::<Vec<_>>(),
        ["b"]
    );
}

#[tokio::test]
async fn conditions_left_open_are_decided_as_kubernetes_says() {
    let cluster = Cluster::empty(client().0, events::channel().0);
    let mut open = slice("a", Some("web"), "10.77.0.10");
    open["endpoints"][0]["conditions"] = json!({});
    cluster.apply_slice(applied(&open));
    let slices = cluster.slices("demo", "web").unwrap();
    let endpoint = &slices[0].endpoints[0];
    assert!(endpoint.ready && endpoint.serving && !endpoint.terminating);
    assert_eq!(slices[0].ports.len(), 1, "a port without a number is none");
}

#[tokio::test]
async fn a_slice_of_names_has_no_endpoints() {
    let cluster = Cluster::empty(client().0, events::channel().0);
    let mut names = slice("a", Some("web"), "10.77.0.10");
    names["addressType"] = json!("FQDN");
    cluster.apply_slice(applied(&names));
    assert!(
        cluster.slices("demo", "web").unwrap()[0]
            .endpoints
            .is_empty()
    );
}

#[tokio::test]
async fn a_node_is_reached_at_its_internal_address_first() {
    let cluster = Cluster::empty(client().0, events::channel().0);
    cluster.apply_node(applied(&json!({"metadata": {"name": "n1"}, "status": {
        "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "ExternalIP", "address": "192.0.2.7"},
            {"type": "InternalIP", "address": "10.77.0.2"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10251}}}})));
    cluster.confirm_all();
    let node = cluster.find_node("n1").await.unwrap().unwrap();
    assert_eq!(
        node.ips.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.77.0.2", "192.0.2.7"]
    );
    assert_eq!(node.kubelet_port, 10251);
}

async fn respond(handle: &mut Handle, code: u16, body: String) -> String {
    let (request, send) = handle.next_request().await.expect("a request");
    let path = request.uri().to_string();
    send.send_response(
        Response::builder()
            .status(code)
            .body(Body::from(body))
            .unwrap(),
    );
    path
}

fn list(pods: &[Value], version: &str, next: &str) -> String {
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version, "continue": next}, "items": pods})
        .to_string()
}

fn added(pod: &Value, version: &str) -> String {
    let mut object = pod.clone();
    object["metadata"]["resourceVersion"] = json!(version);
    object["kind"] = json!("Pod");
    object["apiVersion"] = json!("v1");
    json!({"type": "ADDED", "object": object}).to_string() + "\n"
}

fn status(code: u16) -> String {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": if code == 404 { "NotFound" } else { "x" }, "code": code}).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_watch_lists_in_pages_resumes_and_lists_anew_when_its_place_is_forgotten() {
    let (client, mut handle) = client();
    let tasks = Tasks::new();
    let cluster = Cluster::empty(client.clone(), events::channel().0);
    tasks.spawn_background(watch::supervise(
        client,
        cluster.clone(),
        Cluster::apply_pod,
        Cluster::confirm_pods,
    ));

    let first = respond(
        &mut handle,
        200,
        list(&[pod("a", "10.77.0.10")], "1", "next"),
    )
    .await;
    assert!(first.contains("limit=100"), "{first}");
    let second = respond(&mut handle, 200, list(&[pod("b", "10.77.0.11")], "1", "")).await;
    assert!(second.contains("continue=next"), "{second}");
    let watching = respond(&mut handle, 200, added(&pod("c", "10.77.0.12"), "2")).await;
    assert!(
        watching.contains("watch=true") && watching.contains("resourceVersion=1"),
        "{watching}"
    );
    let resumed = respond(&mut handle, 410, status(410)).await;
    assert!(resumed.contains("resourceVersion=2"), "{resumed}");
    assert!(cluster.pod("demo", "a").is_some() && cluster.pod("demo", "c").is_some());
    respond(&mut handle, 200, list(&[pod("a", "10.77.0.10")], "5", "")).await;
    let gone =
        json!({"type": "ERROR", "object": serde_json::from_str::<Value>(&status(410)).unwrap()})
            .to_string();
    respond(&mut handle, 200, gone).await;
    let anew = respond(&mut handle, 200, list(&[pod("d", "10.77.0.13")], "9", "")).await;
    assert!(!anew.contains("watch="), "{anew}");
    let again = respond(&mut handle, 500, status(500)).await;
    assert!(again.contains("resourceVersion=9"), "{again}");
    assert!(cluster.pod("demo", "a").is_none() && cluster.pod("demo", "d").is_some());
    assert!(cluster.watch_failures() >= 1);
}

#[tokio::test]
async fn a_missing_pod_is_asked_for_once_in_a_burst() {
    let (client, mut handle) = client();
    let cluster = Cluster::empty(client, events::channel().0);
    let burst = futures_util::future::join_all((0..20).map(|_| cluster.find_pod("demo", "new")));
    let (found, path) = tokio::join!(
        burst,
        respond(&mut handle, 200, pod("new", "10.77.0.10").to_string())
    );
    assert!(found.into_iter().all(|found| found.unwrap().is_some()));
    assert_eq!(path, "/api/v1/namespaces/demo/pods/new");
    let (none, _) = tokio::join!(
        cluster.find_pod("demo", "none"),
        respond(&mut handle, 404, status(404))
    );
    assert!(none.unwrap().is_none());
    assert!(
        cluster.find_pod("demo", "none").await.unwrap().is_none(),
        "remembered, or this would hang"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_can_not_be_asked_for_is_not_said_to_be_missing() {
    let (client, _handle) = client();
    let cluster = Cluster::empty(client, events::channel().0);
    assert!(cluster.find_pod("demo", "new").await.is_err());
}

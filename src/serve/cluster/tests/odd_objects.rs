//! Objects as strangers write them: none of them fails the list or the watch that brings it.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::serve::cluster::endpoints::RawSlice;
use crate::serve::cluster::nodes::RawNode;
use crate::serve::cluster::pods::RawPod;
use crate::serve::cluster::services::RawService;

pub(super) fn watched(client: &kube::Client, tasks: &Tasks) -> Cluster {
    let cluster = Cluster::empty(client.clone(), events::channel().0);
    let (apply, confirm) = (Cluster::apply_slice, Cluster::confirm_slices);
    tasks.spawn_background(watch::supervise(
        client.clone(),
        cluster.clone(),
        apply,
        confirm,
    ));
    cluster
}

fn event(kind: &str, object: &Value) -> String {
    json!({"type": kind, "object": object}).to_string() + "\n"
}

#[tokio::test(start_paused = true)]
async fn ports_that_are_none_cost_their_slice_nothing_else() {
    let (client, mut handle) = client();
    let tasks = Tasks::new();
    let cluster = watched(&client, &tasks);
    let mut odd = slice("odd", Some("web"), "10.77.0.10");
    odd["ports"] = json!([{"name": "x", "port": 70000}, {"name": "y", "port": -1}, {"name": "z", "port": null},
        {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "http", "port": 8080}]);
    let good = slice("good", Some("api"), "10.77.0.11");
    respond(&mut handle, 200, list(&[odd.clone(), good], "1", "")).await;
    let later = event("ADDED", &odd) + &event("ADDED", &slice("later", Some("late"), "10.77.0.12"));
    respond(&mut handle, 200, later).await;
    respond(&mut handle, 410, status(410)).await;
    let slices = cluster.slices("demo", "web").expect("it was read");
    let ports: Vec<u16> = slices[0].ports.iter().map(|port| port.number).collect();
    assert_eq!(ports, [8080]);
    assert!(cluster.slices("demo", "api").is_some() && cluster.slices("demo", "late").is_some());
    assert_eq!(
        (
            cluster.unreadable(),
            cluster.0.slices.freshness(Instant::now())
        ),
        (0, Freshness::Current)
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_that_can_not_be_read_is_counted_and_its_old_row_is_gone() {
    let (client, mut handle) = client();
    let tasks = Tasks::new();
    let cluster = watched(&client, &tasks);
    let good = slice("a", Some("web"), "10.77.0.10");
    let mut of_list = slice("odd", Some("odd"), "10.77.0.12");
    of_list["endpoints"] = json!("none");
    let objects = [of_list, good.clone()];
    respond(&mut handle, 200, list(&objects, "1", "")).await;
    let mut odd = good;
    odd["endpoints"] = json!("none");
    odd["metadata"]["resourceVersion"] = json!("7");
    let nameless = json!({"metadata": {"name": 5}});
    let later = event("MODIFIED", &odd)
        + &event("ADDED", &nameless)
        + &event("ADDED", &json!([1]))
        + &event("FUTURE", &json!({}))
        + &event("ADDED", &slice("b", Some("api"), "10.77.0.11"));
    respond(&mut handle, 200, later).await;
    let resumed = respond(&mut handle, 410, status(410)).await;
    assert!(resumed.contains("resourceVersion=7"), "{resumed}");
    assert!(
        cluster.slices("demo", "web").is_none(),
        "the old addresses were still believed"
    );
    assert!(
        cluster.slices("demo", "api").is_some(),
        "the next event was lost"
    );
    assert_eq!(cluster.unreadable(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_too_large_is_asked_for_in_smaller_parts() {
    let (client, mut handle) = client();
    let tasks = Tasks::new();
    let cluster = watched(&client, &tasks);
    let small = slice("a", Some("web"), "10.77.0.10");
    let mut large = small.clone();
    large["metadata"]["annotations"] =
        json!({"a": "x".repeat(crate::serve::cluster::list_page::MAX_PAGE)});
    let first = respond(&mut handle, 200, list(&[large], "1", "next")).await;
    let again = respond(&mut handle, 200, list(&[small], "1", "next")).await;
    assert!(first.contains("limit=100") && again.contains("limit=25"));
    assert!(!again.contains("continue="), "{again}");
    let rest = respond(&mut handle, 200, list(&[], "1", "")).await;
    assert!(
        rest.contains("limit=50") && rest.contains("continue=next"),
        "{rest}"
    );
    assert_eq!(cluster.watch_failures(), 0, "it is no failure");
    respond(&mut handle, 410, status(410)).await;
    assert!(cluster.slices("demo", "web").is_some());
}

#[test]
fn a_time_that_no_reader_takes_is_not_read() {
    let mut odd = pod("web-0", "10.77.0.10");
    odd["metadata"]["managedFields"] = json!([{"manager": "x", "time": "10000-01-01T00:59:59Z"}]);
    odd["metadata"]["creationTimestamp"] = Value::Null;
    let read: ReadObject<RawPod> = known(&odd);
    assert_eq!(&*read.key.name, "web-0");
}

/// Any JSON, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z/.]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn reads<C: ObjectContent>(object: &Value) -> bool {
    let list = json!([object]).to_string();
    Vec::<Object<C>>::deserialize(&mut serde_json::Deserializer::from_str(&list)).is_ok()
}

proptest! {
    #[test]
    fn whatever_stands_in_an_object_its_list_is_read(
        odd in any_json(),
        pointer in prop::sample::select(vec![
            "", "/metadata", "/metadata/name", "/metadata/labels", "/metadata/annotations", "/spec", "/spec/ports",
            "/spec/containers", "/spec/hostNetwork", "/status", "/status/podIPs", "/status/phase", "/status/addresses",
            "/status/daemonEndpoints", "/endpoints", "/ports", "/addressType",
        ]),
    ) {
        let mut object = json!({"metadata": {"name": "a", "namespace": "b", "labels": {}, "annotations": {}},
            "spec": {"ports": [], "containers": [], "hostNetwork": false}, "addressType": "IPv4", "endpoints": [], "ports": [],
            "status": {"podIPs": [], "phase": "", "addresses": [], "daemonEndpoints": {}}});
        *object.pointer_mut(pointer).unwrap() = odd;
        prop_assert!(reads::<RawPod>(&object) && reads::<RawService>(&object));
        prop_assert!(reads::<RawNode>(&object) && reads::<RawSlice>(&object));
    }
}

#[test]
fn what_is_kept_of_one_object_is_bounded() {
    let many: Vec<Value> = (0..5000)
        .map(|at| json!({"name": format!("p{at}"), "port": 80, "containerPort": 80}))
        .collect();
    let mut wide = slice("a", Some("web"), "10.77.0.10");
    wide["ports"] = json!(many);
    let read: EndpointSlice = known::<RawSlice>(&wide).into();
    assert_eq!(read.ports.len(), crate::serve::cluster::object::MAX_ENTRIES);
    let mut wide = pod("a", "10.77.0.10");
    wide["spec"]["containers"] = json!(vec![json!({"ports": many}); 3]);
    wide["status"]["podIPs"] = json!(vec![json!({"ip": "10.77.0.10"}); 5000]);
    let read: Pod = known::<RawPod>(&wide).into();
    assert_eq!(read.ports.len(), crate::serve::cluster::object::MAX_ENTRIES);
    assert_eq!(read.ips.len(), crate::serve::cluster::object::MAX_ENTRIES);
}

#[test]
fn a_sidecars_ports_are_known_and_other_protocols_are_not() {
    let mut mesh = pod("a", "10.77.0.10");
    mesh["spec"]["initContainers"] = json!([
        {"name": "proxy", "restartPolicy": "Always", "ports": [{"name": "metrics", "containerPort": 15090}]},
        {"name": "setup", "ports": [{"name": "once", "containerPort": 1}]}]);
    mesh["spec"]["containers"][0]["ports"] = json!([{"name": "dns", "containerPort": 53, "protocol": "UDP"}, {"name": "web", "containerPort": 8080}]);
    let read: Pod = known::<RawPod>(&mesh).into();
    let ports: Vec<_> = read
        .ports
        .iter()
        .map(|port| (&*port.name, port.number))
        .collect();
    assert_eq!(ports, [("metrics", 15090), ("web", 8080)]);
}

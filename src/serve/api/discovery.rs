//! The plain discovery documents: which groups there are, which versions, which resources.
//!
//! The subresources are those of the built-in proxy, with its kinds and verbs. Their parents are there without a verb:
//! `kubectl auth can-i get services.throughway.dev --subresource=proxy` looks the parent up, and says no if there is
//! none. Nothing can be listed, watched or deleted as a collection: namespace deletion and garbage collection would
//! try, and wait for what is not there. `kubectl api-resources` leaves out what has no verb.
//!
//! Kubernetes: `APIGroupList`, `APIGroup` and `APIResourceList` of apimachinery's meta/v1.

use serde_json::{Value, json};

use crate::serve::config::ApiGroup;

/// A resource that is served.
pub(super) struct Served {
    pub(super) resource: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
}

pub(super) const RESOURCES: [Served; 3] = [
    Served {
        resource: "nodes",
        kind: "NodeProxyOptions",
        namespaced: false,
    },
    Served {
        resource: "pods",
        kind: "PodProxyOptions",
        namespaced: true,
    },
    Served {
        resource: "services",
        kind: "ServiceProxyOptions",
        namespaced: true,
    },
];

pub(super) const VERBS: [&str; 5] = ["create", "delete", "get", "patch", "update"];

pub(super) fn group_list(group: &ApiGroup) -> Value {
    let mut only = self::group(group);
    let fields = only.as_object_mut().expect("a group is an object");
    // Within a list an item does not repeat its kind, as Go's encoder leaves it out there.
    fields.remove("kind");
    fields.remove("apiVersion");
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [only]})
}

pub(super) fn group(group: &ApiGroup) -> Value {
    let version = json!({"groupVersion": format!("{}/{}", group.name, group.version), "version": group.version});
    json!({"kind": "APIGroup", "apiVersion": "v1", "name": &*group.name, "versions": [version], "preferredVersion": version})
}

pub(super) fn resources(group: &ApiGroup) -> Value {
    let resources: Vec<Value> = RESOURCES
        .iter()
        .flat_map(|served| {
            let resource = |name: &str, verbs: &[&str]| {
                json!({"name": name, "singularName": "", "namespaced": served.namespaced, "kind": served.kind, "verbs": verbs})
            };
            let proxy = format!("{}/proxy", served.resource);
            [resource(served.resource, &[]), resource(&proxy, &VERBS)]
        })
        .collect();
    json!({"kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": format!("{}/{}", group.name, group.version), "resources": resources})
}

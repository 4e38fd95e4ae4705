//! Aggregated discovery: everything in one document, for those who ask for its type by name.
//!
//! kube-aggregator falls back to the plain documents unless it gets 200 with exactly this type. Each resource and
//! subresource names its `responseKind`: without it clients leave a resource out, and some crash.
//!
//! Kubernetes: `APIGroupDiscoveryList` of k8s.io/api apidiscovery/v2.

use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::discovery::{RESOURCES, VERBS};
use crate::serve::config::ApiGroup;

pub(super) const CONTENT_TYPE: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(super) fn discovery(group: &ApiGroup) -> Value {
    let resources: Vec<Value> = RESOURCES
        .iter()
        .map(|served| {
            // The parent has no verbs: what can be done to it is done in the core group.
            json!({
                "resource": served.resource,
                "responseKind": {"group": &*group.name, "version": group.version, "kind": served.kind},
                "scope": if served.namespaced { "Namespaced" } else { "Cluster" },
                "singularResource": "",
                "verbs": [],
                "subresources": [{"subresource": "proxy", "verbs": VERBS,
                    "responseKind": {"group": "", "version": "v1", "kind": served.kind}}],
            })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": [{"metadata": {"name": &*group.name, "creationTimestamp": null},
            "versions": [{"version": group.version, "resources": resources, "freshness": "Current"}]}],
    })
}

/// Whether the caller accepts the aggregated document as JSON.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(is_this_type)
}

fn is_this_type(range: &str) -> bool {
    // Word by word and in any order: kube-aggregator and client-go write the parameters in different ones.
    let mut parts = range.split(';').map(str::trim);
    let is_json = parts.next() == Some("application/json");
    let (mut group, mut version, mut kind) = (false, false, false);
    for part in parts {
        group |= part == "g=apidiscovery.k8s.io";
        version |= part == "v=v2";
        kind |= part == "as=APIGroupDiscoveryList";
    }
    is_json && group && version && kind
}

//! The whole road through kube-apiserver, as people and programs go it.

use crate::cluster::{Cluster, DEMO, on_cluster};
use crate::support::backend::{pattern, sha256};
use crate::support::client::request;

const GROUP: &str = "/apis/throughway.dev/v1";

fn service(name: &str, path: &str) -> String {
    format!("{GROUP}/namespaces/{DEMO}/services/{name}/proxy{path}")
}

#[test]
fn a_service_is_reached_by_every_form_of_its_name() {
    on_cluster(async |cluster: &Cluster| {
        for name in [
            "web",
            "web:80",
            "web:http",
            "web:",
            "http:web:80",
            "http:web:http",
            "bare",
            "bare:80",
            "two:80",
            "two:http",
        ] {
            let said = cluster.kubectl(&["get", "--raw", &service(name, "/")]);
            assert!(said.starts_with("hello from web-"), "{name}: {said}");
        }
        for name in ["https:secure:443", "https:secure:https", "https:secure:"] {
            assert_eq!(
                cluster.kubectl(&["get", "--raw", &service(name, "/")]),
                "hello from secure-0"
            );
        }
    });
}

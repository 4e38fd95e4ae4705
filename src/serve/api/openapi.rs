//! OpenAPI, for kube-apiserver's merged documents and `kubectl explain`: the paths of the proxy subresources.

use http::HeaderValue;
use serde_json::{Map, Value, json};

use super::discovery::RESOURCES;
use crate::serve::config::ApiGroup;

/// The methods of the built-in proxy, as OpenAPI spells them.
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

pub(super) fn v2(group: &ApiGroup) -> Value {
    let response =
        json!({"200": {"description": "The target's response", "schema": {"type": "string"}}});
    let parameter = |name: &str| json!({"name": name, "in": "path", "required": true, "type": "string", "uniqueItems": true});
    json!({"swagger": "2.0", "info": info(group), "paths": paths(group, &response, parameter), "definitions": {}})
}

/// The list of OpenAPI v3 documents; the hash lets kube-apiserver keep the one that it has.
pub(super) fn v3(group: &ApiGroup, etag: &HeaderValue) -> Value {
    let path = format!("apis/{}/{}", group.name, group.version);
    let hash = etag
        .to_str()
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned();
    json!({"paths": {&path: {"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}}})
}

pub(super) fn v3_group(group: &ApiGroup) -> Value {
    let content = json!({"*/*": {"schema": {"type": "string"}}});
    let response = json!({"200": {"description": "The target's response", "content": content}});
    let parameter = |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}});
    json!({"openapi": "3.0.0", "info": info(group), "paths": paths(group, &response, parameter)})
}

fn info(group: &ApiGroup) -> Value {
    json!({"title": &*group.name, "version": group.version})
}

fn paths(group: &ApiGroup, response: &Value, parameter: impl Fn(&str) -> Value) -> Value {
    let mut paths = Map::new();
    for served in &RESOURCES {
        let namespace = if served.namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        let base = format!(
            "/apis/{}/{}{namespace}/{}/{{name}}/proxy",
            group.name, group.version, served.resource
        );
        // Twice, as the built-in proxy has its paths with and without something behind them.
        for (path, suffix) in [(base.clone(), ""), (format!("{base}/{{path}}"), "WithPath")] {
            let mut operations = Map::new();
            for method in METHODS {
                let id = format!("{method}{}{suffix}", served.kind);
                operations.insert(
                    method.to_owned(),
                    json!({"operationId": id, "description": "Forwards the request to the target",
                        "responses": response}),
                );
            }
            let mut names = vec!["name"];
            names.extend(served.namespaced.then_some("namespace"));
            names.extend((!suffix.is_empty()).then_some("path"));
            let parameters: Vec<Value> = names.into_iter().map(&parameter).collect();
            operations.insert("parameters".to_owned(), parameters.into());
            paths.insert(path, operations.into());
        }
    }
    paths.into()
}

//! 2, what is asked. In: a request. Out: a [`RequestInfo`] for the road, or one of the documents.
//!
//! The documents (discovery, OpenAPI, version, health) are made once and served from memory. Health is for everybody,
//! the others are for everybody who is known, without a review of what they may. They say nothing about the cluster,
//! and kube-apiserver needs them whatever state the rest of this server is in. A registered server whose discovery
//! fails keeps namespaces from being deleted and every kubectl waiting.
//!
//! Refuses: 404 and 405 as a Status.

mod aggregated;
mod discovery;
mod health;
mod openapi;
mod plain_text;
mod request_info;
mod version;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

pub use health::{Check, Health};
pub use request_info::{RequestInfo, Resource, THROUGHWAY_PATH, Unserved, Verb};

use crate::protocol::status::{Response, Status};
use crate::serve::config::ApiGroup;
use crate::serve::refusal::Refuse;

/// A document with what is needed to serve it: its type, and a tag that changes with its content.
#[derive(Debug, Clone)]
struct Document {
    body: Bytes,
    content_type: HeaderValue,
    etag: HeaderValue,
}

impl Document {
    fn json(value: &serde_json::Value, content_type: &'static str) -> Self {
        let body = Bytes::from(value.to_string());
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &body);
        let tag: String = hash
            .as_ref()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let etag = HeaderValue::try_from(format!("\"{tag}\""))
            .expect("hexadecimal digits are header text");
        Self {
            body,
            content_type: HeaderValue::from_static(content_type),
            etag,
        }
    }

    /// The document, or 304 for a caller that has it.
    fn respond(&self, headers: &HeaderMap) -> Response {
        let tag = self.etag.as_bytes();
        let holds = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
            value
                .as_bytes()
                .split(|byte| *byte == b',')
                // A list of tags is allowed, and kube-aggregator sends back the one that it holds.
                .any(|one| one.trim_ascii() == tag)
        });
        let body = if holds {
            Body::empty()
        } else {
            Body::from(self.body.clone())
        };
        let mut response = Response::new(body);
        if holds {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        // A 304 has the same fields as the 200 would have (RFC 9110 section 15.4.5).
        headers.insert(header::CONTENT_TYPE, self.content_type.clone());
        headers.insert(header::ETAG, self.etag.clone());
        // `/apis` has two documents at one URL.
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache, private"),
        );
        response
    }
}

/// Everything that is served from memory.
#[derive(Debug)]
struct Documents {
    index: Document,
    group_list: Document,
    aggregated: Document,
    group: Document,
    resources: Document,
    openapi_v2: Document,
    openapi_v3: Document,
    openapi_v3_group: Document,
    version: Document,
    health: Health,
}

const JSON: &str = "application/json";

/// Whether a path is one of health, which is open to everybody.
pub fn is_health(path: &str) -> bool {
    // Slashes in front are passed over, as the router does, so both agree on what is open to everybody.
    let first = path.trim_start_matches('/').split('/').next();
    matches!(first, Some("livez" | "readyz" | "healthz"))
}

/// Routes for all documents; whatever else comes is a 404.
pub fn documents(group: &ApiGroup, health: Health) -> Router {
    let openapi_v3_group = Document::json(&openapi::v3_group(group), JSON);
    let paths = ApiPaths::of(group);
    let state = Arc::new(Documents {
        index: Document::json(&serde_json::json!({ "paths": paths.listed() }), JSON),
        group_list: Document::json(&discovery::group_list(group), JSON),
        aggregated: Document::json(&aggregated::discovery(group), aggregated::CONTENT_TYPE),
        group: Document::json(&discovery::group(group), JSON),
        resources: Document::json(&discovery::resources(group), JSON),
        openapi_v2: Document::json(&openapi::v2(group), JSON),
        openapi_v3: Document::json(&openapi::v3(group, &openapi_v3_group.etag), JSON),
        openapi_v3_group,
        version: Document::json(&version::version(), JSON),
        health,
    });
    Router::new()
        .route(
            "/",
            get(async |State(all): All, headers: HeaderMap| all.index.respond(&headers)),
        )
        .route("/apis", get(apis))
        .route("/apis/", get(apis))
        .route(&paths.group, get(group_document))
        .route(&format!("{}/", paths.group), get(group_document))
        .route(&paths.version, get(resources))
        .route(&format!("{}/", paths.version), get(resources))
        .route(
            "/openapi/v2",
            get(async |State(all): All, headers: HeaderMap| all.openapi_v2.respond(&headers)),
        )
        .route(
            "/openapi/v3",
            get(async |State(all): All, headers: HeaderMap| all.openapi_v3.respond(&headers)),
        )
        .route(
            &paths.openapi,
            get(async |State(all): All, headers: HeaderMap| all.openapi_v3_group.respond(&headers)),
        )
        .route(
            "/version",
            get(async |State(all): All, headers: HeaderMap| all.version.respond(&headers)),
        )
        // Behind the named routes, so that a document is never taken for a health endpoint.
        .route("/{endpoint}", get(health_document))
        .route("/{endpoint}/{check}", get(health_check))
        .method_not_allowed_fallback(async || method_not_allowed().into_response())
        .fallback(async || Unserved::NothingHere.status().into_response())
        .with_state(state)
}

type All = State<Arc<Documents>>;

struct ApiPaths {
    group: String,
    version: String,
    openapi: String,
}

impl ApiPaths {
    fn of(group: &ApiGroup) -> Self {
        let ApiGroup { name, version } = group;
        Self {
            group: format!("/apis/{name}"),
            version: format!("/apis/{name}/{version}"),
            openapi: format!("/openapi/v3/apis/{name}/{version}"),
        }
    }

    fn listed(&self) -> Vec<&str> {
        let mut all = vec!["/apis", &self.group, &self.version, &self.openapi];
        all.extend([
            "/healthz",
            "/livez",
            "/metrics",
            "/openapi/v2",
            "/openapi/v3",
            "/readyz",
            "/version",
        ]);
        all
    }
}

/// The aggregated document for who can read it, the plain list for everybody else.
async fn apis(State(all): All, headers: HeaderMap) -> Response {
    if aggregated::is_accepted(&headers) {
        all.aggregated.respond(&headers)
    } else {
        all.group_list.respond(&headers)
    }
}

async fn group_document(State(all): All, headers: HeaderMap) -> Response {
    all.group.respond(&headers)
}

async fn resources(State(all): All, headers: HeaderMap) -> Response {
    all.resources.respond(&headers)
}

async fn health_document(
    State(all): All,
    axum::extract::Path(endpoint): axum::extract::Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let response = all
        .health
        .respond(&endpoint, query.as_deref().unwrap_or_default());
    response.unwrap_or_else(|| Unserved::NothingHere.status().into_response())
}

async fn health_check(
    State(all): All,
    axum::extract::Path((endpoint, check)): axum::extract::Path<(String, String)>,
) -> Response {
    let response = all.health.one(&endpoint, &check);
    response.unwrap_or_else(|| Unserved::NothingHere.status().into_response())
}

fn method_not_allowed() -> Status {
    Status::method_not_allowed("the server does not allow this method on the requested resource")
}

#[cfg(test)]
mod tests;

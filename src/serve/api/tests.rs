//! The documents as kube-apiserver and kubectl ask for them.

use axum::body::to_bytes;
use http::{HeaderName, Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

fn router() -> Router {
    let group = ApiGroup::for_tests();
    let checks = vec![
        Check::ready("shutdown", || true),
        Check::ready("informer-sync", || false),
    ];
    documents(&group, Health::new(checks))
}

async fn ask(
    method: Method,
    path: &str,
    headers: &[(HeaderName, &str)],
) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    for (name, value) in headers {
        request
            .headers_mut()
            .append(name, HeaderValue::try_from(*value).unwrap());
    }
    let (parts, body) = router().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (
        parts.status,
        parts.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

async fn get(path: &str) -> (StatusCode, HeaderMap, String) {
    ask(Method::GET, path, &[]).await
}

async fn document(path: &str) -> Value {
    let (status, headers, body) = get(path).await;
    assert_eq!(
        (status, &headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &HeaderValue::from_static(JSON)),
        "{path}"
    );
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn the_subresources_are_those_of_the_built_in_proxy_and_nothing_can_be_listed() {
    let list = document("/apis/throughway.dev/v1").await;
    assert_eq!(
        list,
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "throughway.dev/v1", "resources": [
            {"name": "nodes", "singularName": "", "namespaced": false, "kind": "NodeProxyOptions", "verbs": []},
            {"name": "nodes/proxy", "singularName": "", "namespaced": false, "kind": "NodeProxyOptions",
                "verbs": ["create", "delete", "get", "patch", "update"]},
            {"name": "pods", "singularName": "", "namespaced": true, "kind": "PodProxyOptions", "verbs": []},
            {"name": "pods/proxy", "singularName": "", "namespaced": true, "kind": "PodProxyOptions",
                "verbs": ["create", "delete", "get", "patch", "update"]},
            {"name": "services", "singularName": "", "namespaced": true, "kind": "ServiceProxyOptions", "verbs": []},
            {"name": "services/proxy", "singularName": "", "namespaced": true, "kind": "ServiceProxyOptions",
                "verbs": ["create", "delete", "get", "patch", "update"]},
        ]})
    );
    assert_eq!(document("/apis/throughway.dev/v1/").await, list);
    for document in [
        list,
        document("/apis").await,
        document("/apis/throughway.dev").await,
    ] {
        let text = document.to_string();
        assert!(
            !text.contains("\"list\"")
                && !text.contains("\"watch\"")
                && !text.contains("deletecollection")
        );
    }
}

#[tokio::test]
async fn discovery_is_negotiated_as_kube_aggregator_needs_it() {
    let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    for (accept, content_type) in [
        (v2, v2),
        (
            "application/json; as=APIGroupDiscoveryList; v=v2; g=apidiscovery.k8s.io",
            v2,
        ),
        (
            &format!(
                "application/vnd.kubernetes.protobuf;{},{v2},application/json",
                &v2[17..]
            ),
            v2,
        ),
        (
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
            JSON,
        ),
        ("application/vnd.kubernetes.protobuf", JSON),
        ("application/json", JSON),
        ("*/*", JSON),
    ] {
        let (status, headers, body) = ask(Method::GET, "/apis", &[(header::ACCEPT, accept)]).await;
        assert_eq!(
            (status, headers[header::CONTENT_TYPE].to_str().unwrap()),
            (StatusCode::OK, content_type),
            "{accept}"
        );
        assert_eq!(headers[header::VARY], "Accept");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["kind"] == "APIGroupDiscoveryList", content_type == v2);
    }
}

#[tokio::test]
async fn every_resource_and_subresource_names_its_response_kind() {
    let v2 = [(header::ACCEPT, aggregated::CONTENT_TYPE)];
    let (_, _, body) = ask(Method::GET, "/apis", &v2).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let resources = body["items"][0]["versions"][0]["resources"]
        .as_array()
        .unwrap();
    assert_eq!(resources.len(), 3);
    for resource in resources {
        assert_eq!(resource["responseKind"]["group"], "throughway.dev");
        assert_eq!(resource["verbs"], json!([]));
        let sub = &resource["subresources"][0];
        assert_eq!(sub["subresource"], "proxy");
        assert!(
            sub["responseKind"]["kind"]
                .as_str()
                .unwrap()
                .ends_with("ProxyOptions")
        );
    }
}

#[tokio::test]
async fn who_has_a_document_gets_304() {
    for path in [
        "/apis",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/apis/throughway.dev/v1",
        "/apis/throughway.dev/v1",
    ] {
        let (_, headers, _) = get(path).await;
        let tag = headers[header::ETAG].to_str().unwrap().to_owned();
        let (status, _, body) = ask(Method::GET, path, &[(header::IF_NONE_MATCH, &tag)]).await;
        assert_eq!(
            (status, body.as_str()),
            (StatusCode::NOT_MODIFIED, ""),
            "{path}"
        );
        let (status, _, _) = ask(Method::GET, path, &[(header::IF_NONE_MATCH, "\"other\"")]).await;
        assert_eq!(status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn the_list_of_openapi_documents_leads_to_the_group() {
    let list = document("/openapi/v3").await;
    let url = list["paths"]["apis/throughway.dev/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    let group = document(url).await;
    assert_eq!(group["openapi"], "3.0.0");
    assert_eq!(group["paths"].as_object().unwrap().len(), 6);
    assert_eq!(
        document("/openapi/v2").await["paths"]
            .as_object()
            .unwrap()
            .len(),
        6
    );
}

#[tokio::test]
async fn health_reads_as_from_kubernetes() {
    let (status, headers, body) = get("/livez").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "ok"));
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let (status, _, body) = get("/readyz").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        body,
        "[+]ping ok\n[+]shutdown ok\n[-]informer-sync failed: reason withheld\nreadyz check failed\n"
    );
    let (status, _, body) = get("/readyz?exclude=informer-sync&verbose").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        body,
        "[+]ping ok\n[+]shutdown ok\n[+]informer-sync excluded: ok\nreadyz check passed\n"
    );
    assert_eq!(
        get("/livez?verbose").await.2,
        "[+]ping ok\nlivez check passed\n"
    );
    assert_eq!(get("/readyz/ping").await.0, StatusCode::OK);
    assert_eq!(
        get("/readyz/informer-sync").await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(get("/livez/informer-sync").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn everything_else_is_a_status() {
    for path in [
        "/nothing",
        "/apis/other.dev",
        "/apis/throughway.dev/v2",
        "/livez/none",
        "/a/b/c",
    ] {
        let (status, headers, body) = get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(headers[header::CONTENT_TYPE], JSON);
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap()["reason"],
            "NotFound"
        );
    }
    let (status, _, body) = ask(Method::POST, "/apis", &[]).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap()["reason"],
        "MethodNotAllowed"
    );
}

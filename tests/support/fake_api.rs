//! An API server of a few objects: lists, watches and reviews, in JSON, without a network.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct FakeApi(Arc<State>);

#[derive(Debug)]
struct State {
    inner: Mutex<Inner>,
    /// Watch events: the resource and the event.
    events: broadcast::Sender<(String, Value)>,
}

#[derive(Debug, Default)]
struct Inner {
    version: u64,
    /// `services/demo/web`.
    objects: BTreeMap<String, Value>,
    /// Code of the answer to every request whose path begins so.
    responses: Vec<(String, u16)>,
    silent: bool,
    rules: BTreeMap<String, Value>,
    everywhere: bool,
    /// `NAMESPACE/NAME` that an access review allows.
    allowed: Vec<String>,
    asked: Vec<String>,
}

impl Default for FakeApi {
    /// Without objects, and everybody may do everything.
    fn default() -> Self {
        let inner = Inner {
            everywhere: true,
            version: 1,
            ..Inner::default()
        };
        Self(Arc::new(State {
            inner: Mutex::new(inner),
            events: broadcast::Sender::new(1024),
        }))
    }
}

impl FakeApi {
    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.inner.lock().unwrap())
    }

    pub fn client(&self) -> kube::Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let api = api.clone();
            async move { Ok::<_, std::io::Error>(api.respond(request).await) }
        });
        kube::Client::new(service, "demo")
    }

    pub fn service(&self, namespace: &str, name: &str, ports: &Value) {
        self.put(
            "services",
            json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"ports": ports}}),
        );
    }

    /// Endpoints of a Service, ready or not.
    pub fn endpoints(&self, namespace: &str, service: &str, ready: &[bool]) {
        let endpoint = |(number, ready): (usize, &bool)| {
            json!({"addresses": ["10.0.0.1"], "conditions": {"ready": ready},
                "targetRef": {"kind": "Pod", "name": format!("{service}-{number}")}})
        };
        let endpoints: Vec<Value> = ready.iter().enumerate().map(endpoint).collect();
        self.put(
            "endpointslices",
            json!({"metadata": {"namespace": namespace, "name": format!("{service}-x"),
                "labels": {"kubernetes.io/service-name": service}},
                "addressType": "IPv4", "endpoints": endpoints}),
        );
    }

    pub fn put(&self, resource: &str, mut object: Value) {
        self.with(|inner| {
            inner.version += 1;
            object["metadata"]["resourceVersion"] = inner.version.to_string().into();
            let key = key(resource, &object);
            let is_new = inner.objects.insert(key, object.clone()).is_none();
            let kind = if is_new { "ADDED" } else { "MODIFIED" };
            let event = json!({"type": kind, "object": object});
            // Nobody may be watching.
            let _ = self.0.events.send((resource.to_owned(), event));
        });
    }

    pub fn remove(&self, resource: &str, namespace: &str, name: &str) {
        self.with(|inner| {
            let key = format!("{resource}/{namespace}/{name}");
            let object = inner.objects.remove(&key).expect("it is there");
            let event = json!({"type": "DELETED", "object": object});
            let _ = self.0.events.send((resource.to_owned(), event));
        });
    }

    /// Every request to a path that begins so gets a Status with this code; 0 takes that back.
    pub fn responses(&self, path: &str, code: u16) {
        self.with(|inner| {
            inner.responses.retain(|(known, _)| known != path);
            if code != 0 {
                inner.responses.push((path.to_owned(), code));
            }
        });
    }

    /// Answers nothing any more.
    pub fn falls_silent(&self) {
        self.with(|inner| inner.silent = true);
    }

    /// What the rules review of a namespace answers; a namespace without rules has none.
    pub fn rules(&self, namespace: &str, rules: Value) {
        self.with(|inner| {
            inner.everywhere = false;
            inner.rules.insert(namespace.to_owned(), rules);
        });
    }

    pub fn allow(&self, name: &str) {
        self.with(|inner| inner.allowed.push(name.to_owned()));
    }

    /// Requests so far, as `GET /path?query` and `REVIEW namespace/name group`.
    pub fn asked(&self) -> Vec<String> {
        self.with(|inner| inner.asked.clone())
    }

    pub async fn respond<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Error: std::fmt::Debug>,
    {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let (silent, code) = self.with(|inner| {
            let line = format!("{} {path}?{query}", request.method());
            inner.asked.push(line);
            let responses = inner.responses.iter();
            let code = responses.filter(|(start, _)| path.starts_with(start));
            (inner.silent, code.map(|(_, code)| *code).next_back())
        });
        if silent {
            return std::future::pending().await;
        }
        if let Some(code) = code {
            return failure(code);
        }
        if path.ends_with("reviews") {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            return json_response(&self.review(serde_json::from_slice(&body).unwrap()));
        }
        let (namespace, resource) = collection(&path);
        if query.contains("watch=true") {
            return self.watch(namespace, resource);
        }
        json_response(&self.list(namespace, &resource))
    }

    fn list(&self, namespace: Option<String>, resource: &str) -> Value {
        self.with(|inner| {
            let start = match namespace {
                Some(namespace) => format!("{resource}/{namespace}/"),
                None => format!("{resource}/"),
            };
            let items = inner
                .objects
                .iter()
                .filter(|(key, _)| key.starts_with(&start));
            let items: Vec<&Value> = items.map(|(_, object)| object).collect();
            json!({"kind": "List", "apiVersion": "v1", "items": items,
                "metadata": {"resourceVersion": inner.version.to_string()}})
        })
    }

    fn watch(&self, namespace: Option<String>, resource: String) -> Response<Body> {
        let events = self.0.events.subscribe();
        let lines = stream::unfold(events, move |mut events| {
            let (namespace, resource) = (namespace.clone(), resource.clone());
            async move {
                loop {
                    let (of, event) = events.recv().await.ok()?;
                    let whose = &event["object"]["metadata"]["namespace"];
                    if of == resource && namespace.as_ref().is_none_or(|one| whose == one) {
                        let line = Bytes::from(format!("{event}\n"));
                        return Some((Ok::<_, Infallible>(line), events));
                    }
                }
            }
        });
        Response::new(Body::from_stream(lines))
    }

    fn review(&self, mut review: Value) -> Value {
        self.with(|inner| {
            let spec = review["spec"].clone();
            let Some(attributes) = spec.get("resourceAttributes") else {
                let namespace = spec["namespace"].as_str().unwrap();
                let rules = inner.rules.get(namespace).cloned();
                review["status"] = rules.unwrap_or_else(|| rules_status(&[]));
                return review;
            };
            let text = |name: &str| attributes[name].as_str().unwrap_or_default().to_owned();
            let name = format!("{}/{}", text("namespace"), text("name"));
            assert_eq!(
                [text("verb"), text("resource"), text("subresource")],
                ["get", "services", "proxy"]
            );
            inner.asked.push(format!("REVIEW {name} {}", text("group")));
            let allowed = inner.everywhere || inner.allowed.contains(&name);
            review["status"] = json!({"allowed": allowed});
            review
        })
    }
}

/// A rules review's response: names that may be reached in group `throughway.dev`.
pub fn rules_status(names: &[&str]) -> Value {
    let mut rules = vec![];
    if !names.is_empty() {
        rules.push(json!({"verbs": ["get"], "apiGroups": ["throughway.dev"], "resources": ["services/proxy"],
            "resourceNames": names}));
    }
    json!({"resourceRules": rules, "nonResourceRules": [], "incomplete": false})
}

fn key(resource: &str, object: &Value) -> String {
    let metadata = &object["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    format!(
        "{resource}/{namespace}/{}",
        metadata["name"].as_str().unwrap()
    )
}

/// Namespace and resource of a path.
fn collection(path: &str) -> (Option<String>, String) {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let resource = parts.last().unwrap().to_string();
    let at = parts.iter().position(|part| *part == "namespaces");
    let namespace = at
        .and_then(|at| parts.get(at + 1))
        .filter(|_| resource != "namespaces");
    (namespace.map(ToString::to_string), resource)
}

fn json_response(value: &Value) -> Response<Body> {
    Response::new(Body::from(value.to_string()))
}

fn failure(code: u16) -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": format!("refused with <b>{code}</b>"), "reason": ""});
    let mut response = json_response(&status);
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

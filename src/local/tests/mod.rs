//! The whole pipeline, in front of an API server on loopback that takes note of what it is asked.

#![allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's tasks, files and connections are not for tests"
)]

mod away;
mod by_ipv6;
mod forwards;
pub(crate) mod fuzz;
mod origin_of_the_api;
mod proxy_modes;
mod rules;
mod server_path;

use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use tokio::task::JoinSet;

use super::api_server::ApiServer;
use super::inbound::host_route::{HostRoute, Target};
use super::inbound::listen::{CompanionListener, PeerLocation};
use super::pipeline::{self, ListenerScope, LocalPipeline};
use super::server;
use crate::cli;
use crate::cli::Command;
use crate::lifecycle::Tasks;
use crate::protocol::status::{Request, Response};

/// The API and its browser's host.
const API: &str = "localhost:8001";

/// What a browser says of an address that was typed, and of every hop that it is redirected over.
const TYPED: [(&str, &str); 3] = [
    ("sec-fetch-site", "none"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
];

struct World {
    pipeline: Arc<LocalPipeline>,
    asked: Arc<Mutex<Vec<String>>>,
    /// `Throughway-Path` of each request that has it.
    raw_paths: Arc<Mutex<Vec<HeaderValue>>>,
    _serving: JoinSet<()>,
}

impl World {
    /// Started with flags, in front of a cluster without Throughway.
    async fn new(flags: &[&str]) -> Self {
        Self::in_front_of(api_server, "", flags).await
    }

    /// An API server, which perhaps lies below a path.
    async fn in_front_of(server_of: fn(&str) -> Response, path: &str, flags: &[&str]) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let raw_paths = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("--server=http://{}{path}", listener.local_addr().unwrap());
        let (noted, below) = (Arc::clone(&asked), path.to_owned());
        let noted_paths = Arc::clone(&raw_paths);
        let app = axum::Router::new().fallback(move |request: Request| {
            let mut asked = format!("{} {}", request.method(), request.uri());
            for (name, label) in [(header::TE, "TE"), (header::UPGRADE, "Upgrade")] {
                for value in request.headers().get_all(name) {
                    asked.push_str(&format!(" {label}: {}", value.to_str().unwrap()));
                }
            }
            let response = match request.uri().path().strip_prefix(&below) {
                Some(path) => server_of(path),
                None => empty(StatusCode::NOT_FOUND),
            };
            noted.lock().unwrap().push(asked);
            let raw_path = request.headers().get("throughway-path").cloned();
            noted_paths.lock().unwrap().extend(raw_path);
            async move { response }
        });
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            pipeline: pipeline(&server, flags).await,
            asked,
            raw_paths,
            _serving: serving,
        }
    }

    /// In front of a port on which nothing listens.
    async fn without_api_server() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("--server=http://{}", listener.local_addr().unwrap());
        drop(listener);
        Self {
            pipeline: pipeline(&server, &[]).await,
            asked: Arc::default(),
            raw_paths: Arc::default(),
            _serving: JoinSet::new(),
        }
    }

    async fn ask(&self, host: &str, line: &str, lines: &[(&'static str, &str)]) -> Response {
        self.ask_from(
            PeerLocation::ThisMachine,
            &ListenerScope::All,
            host,
            line,
            lines,
        )
        .await
    }

    /// The code of a response, and how often a request came to the API server's proxy for it.
    async fn outcome(
        &self,
        host: &str,
        line: &str,
        lines: &[(&'static str, &str)],
    ) -> (u16, usize) {
        let before = self.proxied().len();
        let response = self.ask(host, line, lines).await;
        (response.status().as_u16(), self.proxied().len() - before)
    }

    async fn ask_from(
        &self,
        peer: PeerLocation,
        scope: &ListenerScope,
        host: &str,
        line: &str,
        lines: &[(&'static str, &str)],
    ) -> Response {
        let (method, target) = line.split_once(' ').unwrap();
        let mut request = http::Request::builder().method(method).uri(target);
        request = request.header(header::HOST, host);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        Box::pin(pipeline::respond(&self.pipeline, scope, peer, request)).await
    }

    /// What came to a target's proxy.
    fn proxied(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let is_proxied = |line: &&String| line.contains("/proxy");
        asked.iter().filter(is_proxied).cloned().collect()
    }

    /// All that the API server was asked.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// All stages, made with flags.
async fn pipeline(server: &str, flags: &[&str]) -> Arc<LocalPipeline> {
    let words = [
        "throughway",
        "local",
        "--kubeconfig=/dev/null",
        "--port=0",
        server,
    ];
    let words = words.iter().chain(flags).map(Into::into);
    let Ok(Command::Local(config)) = cli::read(words) else {
        panic!("a wrong command line: {flags:?}")
    };
    let tasks = Tasks::new();
    let main = CompanionListener::bind(&config.listen).await.unwrap();
    let api = ApiServer::load(&config.cluster).await.unwrap();
    server::pipeline(&config, &main, api, &tasks).unwrap()
}

/// A cluster without Throughway, whose Services have one port. Says `OK` in HTML to what it does not know better.
fn api_server(path: &str) -> Response {
    if path == "/apis/throughway.dev/v1" {
        return empty(StatusCode::NOT_FOUND);
    }
    let is_service = path.contains("/services/") && !path.contains("/proxy");
    let (kind, body) = if is_service {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "demo"},
            "spec": {"ports": [{"port": 80}]}});
        ("application/json", service.to_string())
    } else {
        ("text/html", "OK".to_owned())
    };
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert("service-worker-allowed", HeaderValue::from_static("/"));
    response
}

fn empty(code: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}

fn target(host: &str) -> Target {
    match HostRoute::of(host) {
        Ok(HostRoute::Target(target)) => target,
        other => panic!("{host}: {other:?}"),
    }
}

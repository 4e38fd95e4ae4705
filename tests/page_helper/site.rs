//! A plain prefix proxy with an app behind it: what the page helper meets, without anything else of Throughway.
//!
//! Below the prefix it serves the pages of a test, with the helper's tag first in them, and something fitting for any
//! other path. It takes down every request; one that is not below the prefix has left it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use throughway::serve::response::page_helper;
use throughway_testing::serving::Serving;
use throughway_testing::websocket;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

pub const PREFIX: &str =
    "/k8s/clusters/x/apis/throughway.dev/v1/namespaces/demo/services/web:80/proxy";

/// A name that only the cluster knows.
pub const HOST: &str = "web.demo.svc:80";

const LIMIT: Duration = Duration::from_secs(20);

/// A page of a test.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub path: &'static str,
    pub body: String,
    pub headers: Vec<(&'static str, &'static str)>,
    /// What stands first in the document; `None`: the helper's usual tag.
    pub tag: Option<String>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Path and query; below the prefix, without it.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub left_prefix: bool,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().expect("plain text"))
    }
}

#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    asked: Arc<watch::Sender<Vec<Asked>>>,
    _serving: Serving,
}

/// The helper's tag for a document at a path.
pub fn tag(path: &str, nonce: &str) -> String {
    let up = match path.matches('/').count() - 1 {
        0 => "./".to_owned(),
        depth => "../".repeat(depth),
    };
    format!(
        "<script src=\"{up}./.throughway/page.js\" nonce=\"{nonce}\" data-host=\"{HOST}\" data-cookies=\"argocd.token _oauth2_proxy*\"></script>"
    )
}

impl Site {
    pub async fn start(pages: Vec<Page>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let asked = Arc::new(watch::channel(Vec::new()).0);
        let (record, pages) = (Arc::clone(&asked), Arc::new(pages));
        let serving = Serving::http1(listener, move |request| {
            respond(Arc::clone(&record), Arc::clone(&pages), request)
        });
        Self {
            address: serving.address,
            asked,
            _serving: serving,
        }
    }

    /// The URL of a path inside the target.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{PREFIX}{path}", self.address)
    }

    /// The URL of a path outside it.
    pub fn outside(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What every request of the browser must be below.
    pub fn inside(&self) -> String {
        format!("{}{PREFIX}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    pub fn left(&self) -> Vec<String> {
        let left = self.asked().into_iter().filter(|asked| asked.left_prefix);
        left.map(|asked| asked.path).collect()
    }

    /// Waits for a request for this path and query inside the target.
    pub async fn wait_for(&self, path: &str) -> Asked {
        let mut asked = self.asked.subscribe();
        let is_it = |asked: &&Asked| !asked.left_prefix && asked.path == path;
        let arrived = asked.wait_for(|asked| asked.iter().any(|one| is_it(&one)));
        match timeout(LIMIT, arrived).await {
            Ok(arrived) => arrived
                .expect("a site")
                .iter()
                .find(is_it)
                .expect("it")
                .clone(),
            Err(_) => {
                let paths: Vec<_> = self.asked().into_iter().map(|one| one.path).collect();
                panic!("{path} was never asked for, but {paths:#?}")
            }
        }
    }
}

async fn respond(
    record: Arc<watch::Sender<Vec<Asked>>>,
    pages: Arc<Vec<Page>>,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let whole = request.uri().to_string();
    let inside = whole
        .strip_prefix(PREFIX)
        .filter(|rest| rest.starts_with('/'));
    let path = inside.unwrap_or(&whole).to_owned();
    let left_prefix = inside.is_none() && whole != "/favicon.ico" && !whole.starts_with("/free/");
    let socket = websocket::accept(&mut request, websocket::listen);
    let asked = Asked {
        path: path.clone(),
        headers: request.headers().clone(),
        body: request.collect().await.expect("a body").to_bytes(),
        left_prefix,
    };
    record.send_modify(|record| record.push(asked));
    if left_prefix {
        let mut response = Response::new(Full::from("left the prefix"));
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        return Ok(response);
    }
    if let Some(accepted) = socket {
        return Ok(accepted.map(|()| Full::default()));
    }
    let plain = path.split('?').next().expect("a first part");
    if let Some(script) = script(plain).await {
        return Ok(script.map(Full::from));
    }
    Ok(match pages.iter().find(|page| page.path == plain) {
        Some(page) => document(page),
        None => file(plain),
    })
}

fn document(page: &Page) -> Response<Full<Bytes>> {
    let tag = page.tag.clone().unwrap_or_else(|| tag(page.path, ""));
    let body = format!("<!DOCTYPE html>{tag}{}", page.body);
    let mut response = Response::builder().header("content-type", "text/html; charset=utf-8");
    for (name, value) in &page.headers {
        response = response.header(*name, *value);
    }
    response.body(Full::from(body)).expect("a page")
}

fn file(path: &str) -> Response<Full<Bytes>> {
    let (kind, body) = match path.rsplit(['.', '/']).next().unwrap_or_default() {
        "js" => ("text/javascript", "globalThis.loaded = true".to_owned()),
        "svg" => (
            "image/svg+xml",
            "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><g id='x'/></svg>"
                .to_owned(),
        ),
        "css" => ("text/css", ".sheet { color: red }".to_owned()),
        "events" => ("text/event-stream", "data: hello\n\n".to_owned()),
        "html" => ("text/html", format!("<title>{path}</title>")),
        "page-token" => (
            "text/plain",
            "throughway.page.9999999999.renewed".to_owned(),
        ),
        _ => ("text/plain", format!("answer of {path}")),
    };
    Response::builder()
        .header("content-type", kind)
        .body(Full::from(body))
        .expect("a file")
}

/// A script of Throughway's own, as it serves it.
async fn script(path: &str) -> Option<Response<Bytes>> {
    let (head, body) = page_helper::script(path)?.into_parts();
    let body = body.collect().await.expect("a whole script").to_bytes();
    Some(Response::from_parts(head, body))
}

/// The helper as it is served.
pub async fn helper() -> String {
    let script = script("/.throughway/page.js").await.expect("the helper");
    String::from_utf8(script.into_body().into()).expect("text")
}

//! A site that an attack starts from or aims at: it answers whatever it is asked, lets itself be read and framed by
//! everybody, and keeps what it was asked.
//!
//! | path | answer |
//! |---|---|
//! | `/page…` | a page with `secret of NAME`, which lets its opener know that it is there, and gives up its own `document.domain` |
//! | `/set…` | a page that sets the cookies which the query lists, as `a=1; Path=/&b=2` escaped |
//! | `/to?ADDRESS` | a redirect to an address |
//! | `/ws…` | a WebSocket, if it is asked for one |
//! | anything else | `hello from NAME` |

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use throughway_testing::serving::Serving;
use throughway_testing::websocket;
use tokio::net::TcpListener;

/// A running site; it ends when it is dropped.
#[derive(Debug)]
pub struct Site {
    pub address: SocketAddr,
    log: Arc<Log>,
    _serving: Serving,
}

/// What a site was asked.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Debug)]
struct Log {
    name: &'static str,
    seen: Mutex<Vec<Seen>>,
}

impl Site {
    pub async fn start(name: &'static str, address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let seen = Mutex::default();
        let log = Arc::new(Log { name, seen });
        let shared = Arc::clone(&log);
        let serving = Serving::http1(listener, move |request| {
            respond(Arc::clone(&shared), request)
        });
        Self {
            address: serving.address,
            log,
            _serving: serving,
        }
    }

    /// What it was asked at a path, whatever the query.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.log.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.path.split('?').next() == Some(path))
            .cloned()
            .collect()
    }

    /// All that it was asked at paths with this beginning.
    pub fn seen_below(&self, start: &str) -> Vec<Seen> {
        let seen = self.log.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.path.starts_with(start))
            .cloned()
            .collect()
    }
}

impl Seen {
    /// Each of the cookies that came.
    pub fn cookies(&self) -> Vec<String> {
        let lines = self.headers.get_all("cookie").iter();
        lines
            .flat_map(|line| line.to_str().unwrap().split("; "))
            .map(str::to_owned)
            .collect()
    }
}

async fn respond(
    log: Arc<Log>,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().to_string();
    let body = request.body_mut().collect().await;
    log.seen.lock().unwrap().push(Seen {
        path: path.clone(),
        headers: request.headers().clone(),
        body: body.map(|body| body.to_bytes()).unwrap_or_default(),
    });
    let name = log.name;
    let mut response = if path.starts_with("/page") {
        html(format!(
            "<!doctype html><title>{name}</title><p>secret of {name}</p>
            <script>document.domain = 'svc.localhost'; opener?.postMessage('here', '*')</script>"
        ))
    } else if let Some(cookies) = path.strip_prefix("/set?") {
        with_cookies(cookies)
    } else if let Some(address) = path.strip_prefix("/to?") {
        redirect(address)
    } else if path.starts_with("/ws") && request.headers().contains_key("sec-websocket-key") {
        websocket(&mut request)
    } else {
        Response::new(format!("hello from {name}").into())
    };
    let everybody = HeaderValue::from_static("*");
    let headers = response.headers_mut();
    headers.insert("access-control-allow-origin", everybody);
    Ok(response)
}

fn html(page: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(page.into());
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert("content-type", html);
    response
}

fn redirect(address: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::FOUND;
    let address = HeaderValue::from_str(address).unwrap();
    response.headers_mut().insert("location", address);
    response
}

fn with_cookies(cookies: &str) -> Response<Full<Bytes>> {
    let mut response = html("<!doctype html><title>cookies</title>".to_owned());
    for cookie in cookies.split('&') {
        let cookie = percent_encoding::percent_decode_str(cookie).decode_utf8_lossy();
        let cookie = HeaderValue::from_str(&cookie).unwrap();
        response.headers_mut().append("set-cookie", cookie);
    }
    response
}

fn websocket(request: &mut Request<Incoming>) -> Response<Full<Bytes>> {
    let accepted = websocket::accept(request, websocket::listen);
    let response = accepted.expect("a WebSocket was asked for");
    response.map(|()| Full::default())
}

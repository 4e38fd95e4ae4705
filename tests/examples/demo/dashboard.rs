//! A small dashboard as a pod serves it: a page, its data, a WebSocket that ticks, a login with a cookie.
//!
//! | path | answer |
//! |---|---|
//! | `/`, `/app.js`, `/style.css`, `/icon.svg` | the page and its parts |
//! | `/api/requests` | JSON: how often each path was asked for |
//! | `/api/user` | JSON: who is logged in, or null |
//! | `/ticks` | a WebSocket: how many seconds it has been up, at once and then every second |
//! | POST `/login` | the cookie `user`, and 303 to `/` |
//! | POST `/logout` | the cookie goes, and 303 to `/` |
//!
//! It knows nothing of a prefix: every URL in it begins at the root.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::json;
use throughway_testing::serving::Serving;
use throughway_testing::websocket::{self, Socket};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

const PAGE: &str = include_str!("dashboard.html");
const SCRIPT: &str = include_str!("dashboard.js");
const STYLE: &str = include_str!("dashboard.css");
const ICON: &str = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'><path fill='#2a7ae2' d='M1 5h2v3H1zM4 1h2v7H4zM7 3h2v5H7z'/></svg>";

const TICK: Duration = Duration::from_secs(1);

/// Of a login form.
const MAX_FORM_BYTES: usize = 4096;

/// Of counted paths; others are not counted.
const MAX_PATHS: usize = 20;

/// The running dashboard; it ends, with its connections, when this is dropped.
#[derive(Debug)]
pub struct Dashboard {
    pub address: SocketAddr,
    _serving: Serving,
}

#[derive(Debug)]
struct State {
    start: Instant,
    requests: Mutex<BTreeMap<String, u64>>,
}

impl Dashboard {
    pub async fn start(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let state = Arc::new(State {
            start: Instant::now(),
            requests: Mutex::default(),
        });
        let serving = Serving::http1(listener, move |request| {
            respond(request, Arc::clone(&state))
        });
        Ok(Self {
            address: serving.address,
            _serving: serving,
        })
    }
}

async fn respond(
    mut request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    state.count(&path);
    Ok(match (request.method(), path.as_str()) {
        (&Method::GET, "/") => full("text/html; charset=utf-8", PAGE),
        (&Method::GET, "/app.js") => full("text/javascript", SCRIPT),
        (&Method::GET, "/style.css") => full("text/css", STYLE),
        (&Method::GET, "/icon.svg") => full("image/svg+xml", ICON),
        (&Method::GET, "/api/requests") => {
            let requests = state.requests.lock().expect("nobody panicked with it");
            full("application/json", json!(*requests).to_string())
        }
        (&Method::GET, "/api/user") => {
            let user = user(&request);
            full("application/json", json!({"user": user}).to_string())
        }
        (&Method::GET, "/ticks") => ticks(&mut request, state.start),
        (&Method::POST, "/login") => login(request).await,
        (&Method::POST, "/logout") => home("user=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"),
        _ => refusal(StatusCode::NOT_FOUND, "nothing is here\n"),
    })
}

impl State {
    fn count(&self, path: &str) {
        let mut requests = self.requests.lock().expect("nobody panicked with it");
        if requests.len() < MAX_PATHS || requests.contains_key(path) {
            *requests.entry(path.to_owned()).or_default() += 1;
        }
    }
}

fn full(kind: &'static str, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refusal(status: StatusCode, sentence: &'static str) -> Response<Body> {
    let mut response = full("text/plain", sentence);
    *response.status_mut() = status;
    response
}

/// A redirect to the page, with a cookie.
fn home(cookie: &str) -> Response<Body> {
    let mut response = refusal(StatusCode::SEE_OTHER, "");
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_static("/"));
    let cookie = cookie.parse().expect("a cookie");
    headers.insert(header::SET_COOKIE, cookie);
    response
}

/// Who the cookie says is logged in. It is a demo: everybody is who they say.
fn user(request: &Request<Incoming>) -> Option<String> {
    let cookies = request.headers().get_all(header::COOKIE).iter();
    let mut pairs = cookies
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split("; "));
    let name = pairs.find_map(|pair| pair.strip_prefix("user="))?;
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    Some(name.into_owned())
}

async fn login(request: Request<Incoming>) -> Response<Body> {
    let form = Limited::new(request.into_body(), MAX_FORM_BYTES);
    let Ok(form) = form.collect().await else {
        return refusal(StatusCode::BAD_REQUEST, "no login form\n");
    };
    // What a browser sends is escaped as a cookie's value has to be.
    let form = form.to_bytes();
    let name = form.strip_prefix(b"name=").unwrap_or_default();
    let is_value = |byte: &u8| byte.is_ascii_alphanumeric() || b"%+-._*".contains(byte);
    if name.is_empty() || !name.iter().all(is_value) {
        return refusal(StatusCode::BAD_REQUEST, "a login has a name\n");
    }
    let name = String::from_utf8_lossy(name).replace('+', "%20");
    home(&format!("user={name}; Path=/; HttpOnly; SameSite=Lax"))
}

fn ticks(request: &mut Request<Incoming>, start: Instant) -> Response<Body> {
    match websocket::accept(request, move |socket| tick(socket, start)) {
        Some(response) => response.map(|()| Body::empty()),
        None => refusal(StatusCode::UPGRADE_REQUIRED, "here is a WebSocket\n"),
    }
}

/// Until the browser leaves.
async fn tick(mut socket: Socket, start: Instant) {
    let mut seconds = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = seconds.tick() => {
                let up = start.elapsed().as_secs().to_string();
                if socket.send(Message::text(up)).await.is_err() {
                    return;
                }
            }
            said = socket.next() => {
                if !matches!(said, Some(Ok(_))) {
                    return;
                }
            }
        }
    }
}

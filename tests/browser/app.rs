//! An app of our own as a backend: pages with one group of constructs each, and what they ask for.
//!
//! Comes in: any request. Goes out: the page of that name from `fixtures/`, or what the table says. It writes down
//! every request as it arrived. It knows nothing of a prefix: all its links begin at the root.
//!
//! | path | answer |
//! |---|---|
//! | `/NAME`, `/NAME/…` | the page `fixtures/NAME.html`, with the header fields that [`policy`] has for it |
//! | `*.svg`, `*.js`, `*.css` | a picture; a script or style sheet from `fixtures/`, or one that does next to nothing |
//! | `/api/…` | JSON: method, path and query, header fields and body as received |
//! | `/go/CODE/…` | a redirect with that status to what comes after |
//! | `/login` as POST | the cookies `session`, `shown` and `__Host-strict`, and 303 to `/account` |
//! | `/basic…` | 401 that asks for Basic, unless it is root with the password `secret` |
//! | `/ws…` | a WebSocket; its first message is the path and query that it was asked for with; of sub-protocols it knows `chat` |
//! | `/events…` | an event stream; its first event is the path and query |
//! | anything else | a page with nothing on it |

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use throughway_testing::serving::Serving;
use throughway_testing::websocket;
use tokio::net::TcpListener;
use tokio::sync::watch;

type Body = BoxBody<Bytes, Infallible>;

const LIMIT: Duration = Duration::from_secs(20);

const PICTURE: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><g id='a'><rect width='9' height='9'/></g></svg>";

/// Pages, scripts and style sheets by name.
const FILES: &[(&str, &str)] = &[
    ("attributes.html", include_str!("fixtures/attributes.html")),
    ("base.html", include_str!("fixtures/base.html")),
    ("calls.html", include_str!("fixtures/calls.html")),
    ("cookies.html", include_str!("fixtures/cookies.html")),
    ("elements.html", include_str!("fixtures/elements.html")),
    ("fonts.css", include_str!("fixtures/fonts.css")),
    ("forms.html", include_str!("fixtures/forms.html")),
    ("frames.html", include_str!("fixtures/frames.html")),
    ("history.html", include_str!("fixtures/history.html")),
    ("links.html", include_str!("fixtures/links.html")),
    ("meta.html", include_str!("fixtures/meta.html")),
    ("modules.html", include_str!("fixtures/modules.html")),
    ("navigation.html", include_str!("fixtures/navigation.html")),
    ("neighbour.html", include_str!("fixtures/neighbour.html")),
    ("nonce.html", include_str!("fixtures/nonce.html")),
    ("inline.html", include_str!("fixtures/inline.html")),
    ("own.html", include_str!("fixtures/own.html")),
    ("own.js", include_str!("fixtures/own.js")),
    ("path.html", include_str!("fixtures/path.html")),
    ("rules.html", include_str!("fixtures/rules.html")),
    ("sheet.css", include_str!("fixtures/sheet.css")),
    ("static.js", include_str!("fixtures/static.js")),
    ("trusted.html", include_str!("fixtures/trusted.html")),
    ("twice.html", include_str!("fixtures/twice.html")),
    ("handlers.html", include_str!("fixtures/handlers.html")),
    ("hashed.html", include_str!("fixtures/hashed.html")),
    ("own-module.js", include_str!("fixtures/own-module.js")),
    ("router.html", include_str!("fixtures/router.html")),
    ("strict.html", include_str!("fixtures/strict.html")),
    ("spa.html", include_str!("fixtures/spa.html")),
    ("spa-late.html", include_str!("fixtures/spa-late.html")),
    ("spa-moving.html", include_str!("fixtures/spa-moving.html")),
    ("spa.js", include_str!("fixtures/spa.js")),
    ("shared.js", include_str!("fixtures/shared.js")),
    ("fetching.js", include_str!("fixtures/fetching.js")),
    (
        "imported-by-worker.js",
        include_str!("fixtures/imported-by-worker.js"),
    ),
    (
        "socket-worker.js",
        include_str!("fixtures/socket-worker.js"),
    ),
    ("worker.js", include_str!("fixtures/worker.js")),
    // Of `handlers.html`: classic scripts, which export nothing.
    ("popped.js", ""),
    ("popped-worker.js", ""),
    ("pushed.js", ""),
    ("pushed-worker.js", ""),
];

/// The `Content-Security-Policy` of a page.
fn policy(page: &str) -> Option<&'static str> {
    Some(match page {
        "nonce" => "default-src 'self'; script-src 'nonce-R4nd0m'; object-src 'none'",
        "own" => "default-src 'self'",
        "hashed" => {
            "default-src 'self'; script-src 'sha256-QQ7A3cKPcOIQmVS4jz8OTzZb56l2EpyyfzHqFNslat4='"
        }
        "strict" => {
            "script-src 'nonce-S7r1ct' 'strict-dynamic' 'unsafe-inline' https:; base-uri 'none'"
        }
        "inline" => "default-src 'none'; script-src 'unsafe-inline'; connect-src 'self'",
        "trusted" => "require-trusted-types-for 'script'; trusted-types app",
        _ => return None,
    })
}

/// The running app; it ends, with its connections, when this is dropped.
#[derive(Debug)]
pub struct App {
    pub address: SocketAddr,
    seen: watch::Receiver<Vec<Seen>>,
    /// Put into pages in place of `@ORIGIN@`.
    pub origin: Arc<Mutex<String>>,
    _serving: Serving,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: http::HeaderMap,
}

#[derive(Debug)]
struct State {
    name: String,
    seen: watch::Sender<Vec<Seen>>,
    origin: Arc<Mutex<String>>,
}

impl App {
    /// An app at `127.0.0.1`.
    pub async fn start(name: &str) -> Self {
        Self::start_at([127, 0, 0, 1], name).await
    }

    /// An app at a loopback address; no two pods have one address.
    pub async fn start_at(address: [u8; 4], name: &str) -> Self {
        let listener = TcpListener::bind(SocketAddr::from((address, 0)))
            .await
            .expect("a port");
        let (sender, seen) = watch::channel(Vec::new());
        let origin = Arc::default();
        let state = Arc::new(State {
            name: name.to_owned(),
            seen: sender,
            origin: Arc::clone(&origin),
        });
        let serving = Serving::http1(listener, move |request| {
            respond(request, Arc::clone(&state))
        });
        Self {
            address: serving.address,
            seen,
            origin,
            _serving: serving,
        }
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits until every one of these, each a method and a target, has arrived.
    pub async fn until_seen(&self, wanted: &[&str]) {
        let mut seen = self.seen.clone();
        let missing = |seen: &Vec<Seen>| -> Vec<String> {
            let arrived: Vec<String> = seen
                .iter()
                .map(|one| format!("{} {}", one.method, one.target))
                .collect();
            wanted
                .iter()
                .filter(|one| !arrived.iter().any(|seen| seen == *one))
                .map(|&one| one.to_owned())
                .collect()
        };
        let all = seen.wait_for(|seen| missing(seen).is_empty());
        let waited = tokio::time::timeout(LIMIT, all).await.is_ok();
        assert!(waited, "never arrived: {:#?}", missing(&self.seen()));
    }
}

async fn respond(
    mut request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Body>, Infallible> {
    let target = request
        .uri()
        .path_and_query()
        .map(ToString::to_string)
        .unwrap_or_default();
    let seen = Seen {
        method: request.method().to_string(),
        target: target.clone(),
        headers: request.headers().clone(),
    };
    state.seen.send_modify(|list| list.push(seen));
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path[1..].split('/').collect();
    Ok(match parts[..] {
        ["api", ..] => echo(request).await,
        ["ws", ..] => websocket(&mut request, target),
        ["events", ..] => events(&target),
        ["go", code, ..] => redirect(code, &target[4 + code.len()..]),
        ["login"] if request.method() == http::Method::POST => login(&state.name),
        ["basic", ..] if !may(&request) => basic(),
        [.., file] if file.ends_with(".svg") => full("image/svg+xml", PICTURE),
        [.., file] if file.ends_with(".js") => full(
            "text/javascript",
            self::file(file).unwrap_or("export default import.meta.url;".trim_start()),
        ),
        [.., file] if file.ends_with(".css") => {
            full("text/css", self::file(file).unwrap_or("i{color:red}"))
        }
        [name, ..] => page(name, &state),
        [] => page("", &state),
    })
}

fn file(name: &str) -> Option<&'static str> {
    FILES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

fn full(kind: &str, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(text.into()).boxed());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, kind.parse().expect("a type"));
    response
}

fn page(name: &str, state: &State) -> Response<Body> {
    let text = file(&format!("{name}.html"))
        .unwrap_or("<!doctype html><title>blank</title><p id=blank>@NAME@</p>");
    let text = text.replace("@NAME@", &state.name).replace(
        "@ORIGIN@",
        &state.origin.lock().expect("nobody panicked with it"),
    );
    let mut response = full("text/html; charset=utf-8", text);
    if let Some(policy) = policy(name) {
        response.headers_mut().insert(
            header::CONTENT_SECURITY_POLICY,
            policy.parse().expect("a policy"),
        );
    }
    response
}

fn redirect(code: &str, location: &str) -> Response<Body> {
    let mut response = full("text/plain", "elsewhere");
    *response.status_mut() = code.parse().expect("a status");
    response
        .headers_mut()
        .insert(header::LOCATION, location.parse().expect("a location"));
    response
}

fn login(name: &str) -> Response<Body> {
    let mut response = redirect("303", "/cookies");
    let cookies = [
        format!("session={name}; Path=/; HttpOnly"),
        format!("shown={name}; Path=/"),
        format!("__Host-strict={name}; Path=/; Secure; HttpOnly"),
    ];
    for cookie in cookies {
        response
            .headers_mut()
            .append(header::SET_COOKIE, cookie.parse().expect("a cookie"));
    }
    response
}

fn may(request: &Request<Incoming>) -> bool {
    let wanted = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode("root:secret")
    );
    request
        .headers()
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value.as_bytes() == wanted.as_bytes())
}

fn basic() -> Response<Body> {
    let mut response = full("text/plain", "who are you?");
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        "Basic realm=\"the vault\"".parse().expect("a header"),
    );
    response
}

async fn echo(request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let headers: serde_json::Map<String, serde_json::Value> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into(),
            )
        })
        .collect();
    let said = serde_json::json!({"method": parts.method.as_str(), "target": parts.uri.path_and_query().map(ToString::to_string),
        "headers": headers, "body": String::from_utf8_lossy(&body)});
    full("application/json", said.to_string())
}

fn events(target: &str) -> Response<Body> {
    let first = Bytes::from(format!("data: {target}\n\n"));
    let pieces = stream::once(async { Ok(Frame::data(first)) }).chain(stream::pending());
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(pieces)));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        "text/event-stream".parse().expect("a type"),
    );
    response
}

fn websocket(request: &mut Request<Incoming>, target: String) -> Response<Body> {
    let knows_chat = |offered: &header::HeaderValue| {
        let offered = offered.to_str().expect("text");
        offered.split(',').any(|one| one.trim() == "chat")
    };
    let is_chat = request
        .headers()
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .any(knows_chat);
    let echo = |socket| websocket::echo(socket, target);
    let Some(mut response) = websocket::accept(request, echo) else {
        return full("text/plain", "no websocket");
    };
    if is_chat {
        let headers = response.headers_mut();
        headers.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            "chat".parse().expect("a header"),
        );
    }
    response.map(|()| Full::default().boxed())
}

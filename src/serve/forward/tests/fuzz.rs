//! What a backend gets of a caller's request, by a reader of HTTP/1 that is as strict as RFC 9112 and knows nothing of
//! hyper.
//!
//! [`headers`] asks for the head: nothing of one connection, nothing that claims an identity, and all else as it was
//! sent. [`framing`] asks for the whole message over the real HTTP/1 path, in pipes: the backend gets the body that the
//! caller sent, as one message with nothing behind it, or no whole message at all.

use tokio::runtime::Runtime;

use super::wire::{Message, Wire, message};
use http::{HeaderMap, header};

use super::*;
use crate::fuzz::lines;
use crate::serve::forward::transport::connection::{HeaderCase, Http1Connection, http1_settings};
use crate::serve::forward::transport::pool::{PoolKey, PooledConnection};

/// Cookies of others on the origin.
pub(crate) fn never_forwarded() -> crate::serve::config::CookieNames {
    let names = ["argocd.token", "_oauth2_proxy*"];
    names.map(str::to_owned).into_iter().collect()
}

/// A server for all inputs of a thread. Its clock goes on only when everybody waits.
struct Server {
    runtime: Runtime,
    setting: Setting,
}

thread_local! {
    static SERVER: &'static Server = Box::leak(Box::new(Server::new()));
}

impl Server {
    fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        let config = ForwardConfig {
            never_forward_cookies: never_forwarded(),
            ..config()
        };
        let setting = runtime.block_on(Setting::with(config));
        Self { runtime, setting }
    }
}

fn endpoint() -> Endpoint {
    Endpoint {
        settings: crate::serve::cluster::ServiceSettings::unset(),
        // Nobody listens here, so a request that is sent again is refused at once.
        address: crate::serve::destination::DialableAddr::for_tests(([127, 0, 0, 1], 1)),
        scheme: Scheme::Http,
        host: HeaderValue::from_static("web.demo.svc"),
        pod: "demo/web-0".into(),
    }
}

fn permit() -> Permit {
    let group = ApiGroup::for_tests();
    let uri = format!("{PREFIX}/a?b").parse().unwrap();
    let asked = RequestInfo::read(&group, &http::Method::GET, &uri).unwrap();
    let caller = Caller {
        user: Arc::new(User::default()),
        method: authentication::Method::BearerToken,
    };
    Permit::for_tests(caller, asked)
}

/// The head that a backend gets; `None`: the request is refused.
fn at_backend(before: HeaderMap) -> Option<HeaderMap> {
    let server = SERVER.with(|server| *server);
    let (setting, _entered) = (&server.setting, server.runtime.enter());
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = format!("{PREFIX}/a?b").parse().unwrap();
    *request.headers_mut() = before;
    let own = crate::protocol::envelope::unwrap_request(request.headers_mut()).ok()?;
    let permit = permit();
    let client = clients(&setting.forward)
        .of(&permit, own, &mut request)
        .ok()?;
    let metrics = Arc::clone(&setting.metrics);
    let context = RequestContext::begin(AuditId::of(request.headers()), metrics, AccessLog::off());
    let peer = Peer::new(([192, 0, 2, 1], 4711).into(), Vec::new());
    let forwarding = ForwardContext {
        peer: &peer,
        permit: &permit,
        request_context: &context,
        config: &setting.forward.config,
        client: &client,
    };
    let sent = setting
        .forward
        .outgoing_request(forwarding, &endpoint(), Box::new(request));
    Some(sent.ok()?.0.headers().clone())
}

/// The cookies that a backend gets of one line.
pub(crate) fn cookies_at_backend(line: &[u8]) -> Vec<u8> {
    let value = HeaderValue::from_bytes(line).unwrap();
    let before = HeaderMap::from_iter([(header::COOKIE, value)]);
    let after = at_backend(before).expect("it is a request");
    let cookies: Vec<_> = after.get_all(header::COOKIE).iter().collect();
    match *cookies {
        [] => Vec::new(),
        [line] => line.as_bytes().to_vec(),
        _ => panic!("HTTP/1 has one line of cookies: {cookies:?}"),
    }
}

/// RFC 9110 section 7.6.1, and what is older.
const OF_A_CONNECTION: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// What tells the app how it is seen.
const FORWARDED: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-uri",
    "x-forwarded-prefix",
    "x-script-name",
];

fn claims_an_identity(name: &str) -> bool {
    let name = name.replace('_', "-");
    let begins = ["x-remote-", "impersonate-", "throughway-"];
    begins.iter().any(|begin| name.starts_with(begin)) || name == "authorization"
}

pub(crate) fn headers(input: &[u8]) {
    let sent = lines::headers(input);
    let is_enveloped = sent.contains_key("throughway-origin");
    let Some(got) = at_backend(sent.clone()) else {
        assert!(is_enveloped, "a request without an envelope is refused");
        return;
    };
    let wire: Vec<u8> = lines::sorted(&got)
        .into_iter()
        .flat_map(|(name, value)| [name.as_bytes(), b": ", &value, b"\r\n"].concat())
        .collect();
    let head = [b"GET /a HTTP/1.1\r\n", &wire[..], b"\r\n"].concat();
    let (Wire::Whole(seen) | Wire::Partial(seen)) = message(&head) else {
        // A length that no number is, and others that hyper refuses before.
        assert!(sent.contains_key(header::CONTENT_LENGTH), "{sent:?}");
        return;
    };
    let all = |name: &str| -> Vec<&[u8]> {
        let of_it = seen.headers.iter().filter(|(one, _)| one == name);
        of_it.map(|(_, value)| &**value).collect()
    };
    for (name, value) in &seen.headers {
        assert!(!OF_A_CONNECTION.contains(&&**name), "{name} is passed on");
        // What is meant for the app is in a header of its own.
        let is_meant = is_enveloped || sent.contains_key("throughway-authorization");
        let is_its_own = is_meant && name == "authorization";
        assert!(!claims_an_identity(name) || is_its_own, "{name}: {value:?}");
        let is_forwarded = FORWARDED.contains(&&*name.replace('_', "-"));
        assert!(
            !is_forwarded || FORWARDED.contains(&&**name),
            "{name} looks like ours"
        );
    }
    for name in FORWARDED.iter().chain(&["host", "cookie"]) {
        assert!(all(name).len() <= 1, "{name} is there twice");
    }
    assert!(all("te").iter().all(|value| *value == b"trailers"));
    assert!(all("x-forwarded-for")[0].ends_with(b"192.0.2.1"));
    assert_eq!(all("host").len(), 1);
    if !is_enveloped {
        assert_eq!(all("host"), [b"web.demo.svc"]);
        all_else_arrives(&sent, &all);
        cookies_arrive(&sent, &all("cookie"));
    }
}

/// Names that `Connection` lists (RFC 9110 section 7.6.1), with the quotes that some put around them. What is no token
/// then, such as one with a space before it, is no name of a header, so no header is named by it.
fn named(sent: &HeaderMap) -> Vec<String> {
    let is_of_a_token = |one: char| one.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(one);
    let lines = sent.get_all("connection").iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name).to_ascii_lowercase())
        .map(|name| name.trim_matches([' ', '\t']).trim_matches('"').to_owned())
        .filter(|name| name.chars().all(is_of_a_token))
        .collect()
}

fn all_else_arrives<'s>(sent: &HeaderMap, got: &dyn Fn(&str) -> Vec<&'s [u8]>) {
    let named = named(sent);
    let is_changed = [
        "cookie",
        "origin",
        "referer",
        "host",
        "te",
        "expect",
        "content-length",
        "sec-websocket-protocol",
    ];
    for name in sent.keys().map(|name| name.as_str()) {
        let goes = OF_A_CONNECTION.contains(&name)
            || named.iter().any(|listed| listed == name)
            || claims_an_identity(name)
            || FORWARDED.contains(&&*name.replace('_', "-"))
            || name.replace('_', "-") == "proxy-authorization"
            || name.replace('_', "-") == "http2-settings";
        if goes || is_changed.contains(&name) {
            continue;
        }
        let values = sent.get_all(name).iter().map(HeaderValue::as_bytes);
        assert_eq!(got(name), values.collect::<Vec<_>>(), "{name}");
    }
    for name in &named {
        let is_ours = FORWARDED.contains(&&**name) || name == "host" || name == "te";
        let is_word = ["", "close", "upgrade"].contains(&&**name);
        assert!(
            is_ours || is_word || got(name).is_empty(),
            "{name} was named"
        );
    }
}

/// Pairs of a cookie line, without spaces around them.
fn pairs(line: &[u8]) -> Vec<Vec<u8>> {
    line.split(|byte| *byte == b';')
        .map(|pair| pair.trim_ascii().to_vec())
        .filter(|pair| !pair.is_empty())
        .collect()
}

fn cookies_arrive(sent: &HeaderMap, got: &[&[u8]]) {
    if named(sent).iter().any(|name| name == "cookie") {
        return;
    }
    let lines = sent.get_all(header::COOKIE).iter();
    let mut expected = Vec::new();
    for pair in lines.flat_map(|line| pairs(line.as_bytes())) {
        let is_others = |pair: &[u8]| {
            let name = pair
                .split(|byte| *byte == b'=')
                .next()
                .unwrap()
                .trim_ascii();
            name == b"argocd.token" || name.starts_with(b"_oauth2_proxy")
        };
        let own = pair.strip_prefix(b"Throughway-Own-");
        let is_login = pair
            .split(|byte| *byte == b'=')
            .next()
            .unwrap()
            .trim_ascii()
            == b"Throughway-Login";
        if let Some(rest) = pair.strip_prefix(b"Throughway-Host-") {
            expected.push([b"__Host-", rest].concat());
        } else if let Some(own) = own.filter(|own| is_others(own)) {
            expected.push(own.to_vec());
        } else if !is_others(&pair) && !is_login {
            expected.push(pair);
        }
    }
    let got: Vec<_> = got.iter().flat_map(|line| pairs(line)).collect();
    assert_eq!(got, expected);
}

pub(crate) fn framing(input: &[u8]) {
    let server = SERVER.with(|server| *server);
    let head = format!("POST {PREFIX}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
    let request = [head.as_bytes(), input].concat();
    let (seen, received) = server
        .runtime
        .block_on(exchanged(&server.setting, &request));
    let text = String::from_utf8_lossy;
    let shown = || {
        format!(
            "{:?}\n{:?}\n{:?}",
            text(&request),
            text(&seen),
            text(&received)
        )
    };
    let count_of = |status: &str| text(&received).matches(status).count();
    let is_one = count_of("HTTP/1.1 ") <= 1 + count_of("HTTP/1.1 100 ");
    assert!(is_one, "{}", shown());
    let got = match message(&seen) {
        Wire::Whole(got) => got,
        Wire::Partial(_) | Wire::Nothing => return,
        Wire::Malformed(why) => panic!("{why}: {}", shown()),
    };
    assert_eq!(got.rest, b"", "something is behind it: {}", shown());
    for (name, _) in &got.trailers {
        let is_said = ["host", "content-length", "cookie", "set-cookie"].contains(&&**name);
        assert!(
            !is_said && !OF_A_CONNECTION.contains(&&**name) && !claims_an_identity(name),
            "{}",
            shown()
        );
    }
    match message(&request) {
        Wire::Whole(sent) => {
            assert!(same(&sent, &got), "{}", shown());
        }
        Wire::Partial(_) | Wire::Nothing => panic!("it was not whole: {}", shown()),
        // hyper takes some of what the RFC has no place for; it is one message for the backend then.
        Wire::Malformed(_) => {}
    }
}

fn same(sent: &Message, got: &Message) -> bool {
    sent.body == got.body && got.method == "POST" && got.target == "/"
}

/// What the backend saw of a request, and what the caller was told.
async fn exchanged(setting: &Setting, request: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let _driven = keep_connection(setting, near).await;
    let (mut caller, server) = tokio::io::duplex(16 * 1024);
    let address = endpoint().address;
    let service = setting.service(Scheme::Http, &[*address]);
    let asking = async {
        // It may be refused before the last of it.
        let _ = caller.write_all(request).await;
        let _ = caller.shutdown().await;
        let mut received = Vec::new();
        let _ = caller.read_to_end(&mut received).await;
        received
    };
    let serving = async {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).preserve_header_case(true);
        let _ = builder
            .serve_connection(TokioIo::new(server), service)
            .await;
        // A connection that nobody used ends with the others.
        while setting.forward.pool.take(&key()).is_some() {}
    };
    let (received, (), seen) = tokio::join!(asking, serving, answered(far));
    (seen, received)
}

fn key() -> PoolKey {
    PoolKey::new(&endpoint(), 0, HeaderCase::Preserved)
}

/// Lets the server have a connection to the backend, as if it was idle.
async fn keep_connection(setting: &Setting, backend: DuplexStream) -> JoinSet<()> {
    let shaking = http1_settings(HeaderCase::Preserved).handshake(TokioIo::new(backend));
    let (mut requests, connection) = shaking.await.unwrap();
    let mut driven = JoinSet::new();
    driven.spawn(async {
        let _ = connection.await;
    });
    requests.ready().await.unwrap();
    let idle = Http1Connection {
        requests,
        state: Arc::default(),
    };
    PooledConnection::new(Arc::clone(&setting.forward.pool), key(), idle).give_back();
    driven
}

/// A backend that answers a whole message, and what it received in all.
async fn answered(mut stream: DuplexStream) -> Vec<u8> {
    let mut seen = Vec::new();
    let mut gets_a_response = false;
    while stream.read_buf(&mut seen).await.is_ok_and(|read| read > 0) {
        if !gets_a_response && matches!(message(&seen), Wire::Whole(_) | Wire::Malformed(_)) {
            gets_a_response = true;
            let response = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(response).await;
        }
    }
    seen
}

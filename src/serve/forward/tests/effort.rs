//! What requests cost on their way to the backend: each header that the product names, however it is filled, through
//! every stage that reads it but authentication, whose test is its own.

use std::sync::LazyLock;

use http::HeaderName;

use super::*;
use crate::effort::{
    Bill, HEADER_LENGTHS, LENGTH, MAX_PASSES, NASTY, filled, headers_of_the_source,
};
use crate::protocol::{envelope, forwarded_for};
use crate::serve::destination::{Backends, Destination};
use crate::serve::response::ResponseRewriter;
use crate::serve::telemetry::TraceId;

static REWRITER: LazyLock<ResponseRewriter> = LazyLock::new(|| {
    let config = crate::serve::config::RewriteConfig {
        links: crate::serve::config::LinkStyle::Relative,
        never_forward_cookies: crate::serve::config::CookieNames::default(),
        page_memory: 1 << 20,
        page_limit: 256 << 20,
    };
    ResponseRewriter::new(config, PageTokens::new(SessionKey::random()))
});

static CLIENTS: LazyLock<Clients> = LazyLock::new(|| {
    let claims = ClaimFilter::new(Arc::default());
    Clients::new(&config(), PageTokens::new(SessionKey::random()), claims)
});

const WEBSOCKET: [(&str, &str); 2] = [("connection", "upgrade"), ("upgrade", "websocket")];

/// What else is in a request: a program's, a page's, a WebSocket's, and one in an envelope.
fn companions() -> [Vec<(&'static str, &'static str)>; 4] {
    let page = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "navigate"),
        ("origin", "http://localhost:8001"),
        (
            "referer",
            "http://localhost:8001/apis/throughway.dev/v1/namespaces/demo/services/web/proxy/",
        ),
        ("cookie", "Throughway-Host-a=1; Throughway-Own-a=1"),
        ("te", "trailers"),
    ];
    let enveloped = [
        ("throughway-origin", "http://web.localhost:8001"),
        ("throughway-request-cookie", "a=1"),
    ];
    let websocket = [&WEBSOCKET[..], &[("origin", "http://localhost:8001")]].concat();
    [Vec::new(), page.to_vec(), websocket, enveloped.to_vec()]
}

/// A request's way from its first look to the head that the backend gets.
fn send(s: &Setting, endpoint: &Endpoint, mut request: Request) {
    let _ = (
        AuditId::of(request.headers()),
        TraceId::of(request.headers()),
        forwarded_for::last_hop(request.headers()),
    );
    let group = ApiGroup::for_tests();
    let asked = RequestInfo::of(&group, request.method(), request.uri(), request.headers());
    let Ok(asked) = asked else { return };
    let via_front_proxy = request.headers().contains_key("te");
    let caller = Caller {
        user: Arc::new(User::default()),
        method: match via_front_proxy {
            true => authentication::Method::FrontProxy,
            false => authentication::Method::BearerToken,
        },
    };
    let permit = Permit::for_tests(caller, asked);
    let Ok(own) = envelope::unwrap_request(request.headers_mut()) else {
        return;
    };
    let Ok(client) = CLIENTS.of(&permit, own, &mut request) else {
        return;
    };
    let settings = &endpoint.settings;
    let _ = CLIENTS.guard(&permit, &client, settings, &request);
    let destination = Destination::for_tests(&permit, Arc::clone(settings), Backends::none());
    let mut redirects = REWRITER.redirect_chain();
    redirects.record(&client, &destination, &mut request);
    hand_on(s, endpoint, &permit, &client, request);
}

fn hand_on(
    s: &Setting,
    endpoint: &Endpoint,
    permit: &Permit,
    client: &ClientInfo,
    request: Request,
) {
    let peer = Peer::new(([192, 0, 2, 1], 4711).into(), Vec::new());
    let metrics = Arc::clone(&s.metrics);
    let context = RequestContext::begin(AuditId::of(request.headers()), metrics, AccessLog::off());
    let forwarding = ForwardContext {
        peer: &peer,
        permit,
        request_context: &context,
        config: &s.forward.config,
        client,
    };
    let request = Box::new(request);
    match crate::serve::forward::offered_protocol::requested_protocol(&request, endpoint.scheme) {
        Ok(Some(protocol)) => {
            let _ = s
                .forward
                .upgrade_request(forwarding, endpoint, request, protocol);
        }
        Ok(None) => {
            let _ = s.forward.outgoing_request(forwarding, endpoint, request);
        }
        Err(_) => {}
    }
}

fn endpoint() -> Endpoint {
    Endpoint {
        settings: crate::serve::cluster::ServiceSettings::unset(),
        address: crate::serve::destination::DialableAddr::for_tests(([192, 0, 2, 2], 80)),
        scheme: Scheme::Http,
        host: HeaderValue::from_static("web.demo.svc"),
        pod: "demo/web-0".into(),
    }
}

type Line = (HeaderName, HeaderValue);

fn names() -> Vec<HeaderName> {
    let names = headers_of_the_source();
    names
        .iter()
        .map(|name| HeaderName::try_from(name).unwrap())
        .collect()
}

/// Measures requests with these lines among others.
fn measure(s: &Setting, bill: &mut Bill<1>, what: &str, lines: &[Line]) {
    let length = lines.iter().map(|(_, value)| value.len()).sum();
    let endpoint = endpoint();
    for (among, companions) in companions().into_iter().enumerate() {
        let prepare = || {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = format!("{PREFIX}/a/b?c").parse().unwrap();
            for (name, value) in lines {
                request.headers_mut().append(name, value.clone());
            }
            for (name, value) in &companions {
                let value = HeaderValue::from_static(value);
                request.headers_mut().entry(*name).or_insert(value);
            }
            request
        };
        let what = format!("{what}, among {among}");
        bill.work(&what, length, prepare, |request| {
            send(s, &endpoint, request)
        });
    }
}

#[tokio::test]
async fn a_header_of_a_request_costs_no_more_than_a_few_looks_at_it() {
    let s = Setting::new().await;
    let mut bill = Bill::new([MAX_PASSES]);
    let names = names();
    // These begin what is looked at closely, and then there is no end.
    let begun = [
        "Throughway-Login=",
        "Throughway-Host-a;",
        "base64url.",
        "http://localhost/",
        "=;",
        "\",",
        "a,",
        "close,",
        "/services/a/proxy",
    ];
    for pattern in NASTY.into_iter().chain(begun) {
        for length in HEADER_LENGTHS {
            let value = HeaderValue::try_from(filled(pattern.as_bytes(), length)).unwrap();
            for name in &names {
                let line = (name.clone(), value.clone());
                measure(
                    &s,
                    &mut bill,
                    &format!("{name}: {pattern} {length}"),
                    &[line],
                );
            }
        }
    }
    bill.settle();
    s.end().await;
}

/// In all headers at once, but for those that end the way of most values.
#[tokio::test]
async fn whatever_byte_a_request_is_filled_with_it_costs_a_few_looks_at_it() {
    let s = Setting::new().await;
    let mut bill = Bill::new([MAX_PASSES]);
    let mut names = names();
    names.retain(|name| *name != "throughway-path" && *name != "throughway-origin");
    for byte in 0..=u8::MAX {
        let Ok(value) = HeaderValue::try_from(filled(&[byte], LENGTH / names.len())) else {
            continue;
        };
        let lines = names.iter().map(|name| (name.clone(), value.clone()));
        let lines: Vec<Line> = lines.collect();
        measure(&s, &mut bill, &format!("{byte:#x}"), &lines);
    }
    bill.settle();
    s.end().await;
}

#[tokio::test]
async fn many_lines_of_a_request_cost_no_more_than_their_number() {
    let s = Setting::new().await;
    let mut bill = Bill::new([MAX_PASSES]);
    for name in &names() {
        let line = |at| format!("a{at}=1; b, {}", "c".repeat(52));
        let lines = (0..LENGTH / 64).map(|at| (name.clone(), line(at).parse().unwrap()));
        let lines: Vec<Line> = lines.collect();
        measure(&s, &mut bill, &format!("{name}: many lines"), &lines);
    }
    bill.settle();
    s.end().await;
}

//! Redirects: every line of the table, from a response to what its reader gets.

mod bodies;
mod navigations;

use http::HeaderName;
use http_body_util::BodyExt;

use super::mode::may_follow;
use super::*;
use crate::serve::app_login::AppLogin;
use crate::serve::authentication::{self, Caller, User};
use crate::serve::authorization::Permit;
use crate::serve::client::tests::describe;
use crate::serve::cluster::{Redirects, ServiceSettings};
use crate::serve::config::{ApiGroup, CookieNames};
use crate::serve::endpoint::Endpoint;
use crate::serve::html::links::tests::PREFIX;
use crate::serve::response::tests::endpoint;
use axum::body::Body;

fn info(method: &str, inside: &str) -> RequestInfo {
    let group = ApiGroup::for_tests();
    let uri = format!("{PREFIX}{inside}").parse().unwrap();
    RequestInfo::read(&group, &method.parse().unwrap(), &uri).unwrap()
}

fn client(info: &RequestInfo, via: authentication::Method, headers: &[(&str, &str)]) -> ClientInfo {
    let caller = Caller {
        user: User::default().into(),
        method: via,
    };
    let permit = Permit::for_tests(caller, info.clone());
    describe(&permit, &header_map(headers), &[])
}

fn header_map(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        let name = HeaderName::try_from(*name).unwrap();
        (name, HeaderValue::try_from(*value).unwrap())
    };
    lines.iter().map(line).collect()
}

fn backend_response(status: u16, headers: &[(&str, &str)]) -> Response {
    let mut response = Response::new(Body::from("the backend's own"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    *response.headers_mut() = header_map(headers);
    response
}

const NAVIGATES: (&str, &str) = ("sec-fetch-mode", "navigate");
const FETCHES: (&str, &str) = ("sec-fetch-mode", "cors");
const BEHIND: authentication::Method = authentication::Method::FrontProxy;

/// One exchange: what was asked by whom, what the backend said.
struct Exchange {
    method: &'static str,
    inside: &'static str,
    via: authentication::Method,
    headers: Vec<(&'static str, &'static str)>,
    settings: ServiceSettings,
}

impl Exchange {
    fn get(inside: &'static str, headers: &[(&'static str, &'static str)]) -> Self {
        Self {
            method: "GET",
            inside,
            via: BEHIND,
            headers: headers.to_vec(),
            settings: ServiceSettings::default(),
        }
    }

    fn decide(&self, response: Response) -> Decided {
        self.decide_on(&mut self.chain(), response)
    }

    fn permit(&self) -> Permit {
        let caller = Caller {
            user: User::default().into(),
            method: self.via,
        };
        Permit::for_tests(caller, info(self.method, self.inside))
    }

    fn chain(&self) -> RedirectChain<'static> {
        let permit = self.permit();
        let client = describe(&permit, &header_map(&self.headers), &[]);
        let mut request = Request::default();
        *request.headers_mut() = header_map(&self.headers);
        let mut chain = new_chain();
        if may_follow(&client, &self.settings) {
            chain.record_first(permit.info(), &mut request);
        }
        chain
    }

    fn decide_on(&self, chain: &mut RedirectChain<'_>, response: Response) -> Decided {
        let permit = self.permit();
        let endpoint = Endpoint {
            settings: self.settings.clone().into(),
            ..endpoint()
        };
        let context = ResponseContext {
            client: &describe(&permit, &header_map(&self.headers), &[]),
            login: &AppLogin::Absent,
            permit: &permit,
            endpoint: &endpoint,
        };
        decide(context, &context.links(), chain, response)
    }
}

/// A chain for the length of the test.
fn new_chain() -> RedirectChain<'static> {
    RedirectChain::new(Box::leak(Box::<CookieNames>::default()))
}

fn answered(decided: Decided) -> Response {
    match decided {
        Decided::Passed(response) | Decided::Replaced(response) => response,
        Decided::Follow(redirect) => panic!("followed to {:?}", redirect.info),
    }
}

fn followed(decided: Decided) -> (String, String) {
    match decided {
        Decided::Passed(response) | Decided::Replaced(response) => panic!("{response:?}"),
        Decided::Follow(redirect) => {
            let inside = redirect.info.uri().to_string();
            let inside = inside.strip_prefix(PREFIX).unwrap().to_owned();
            (redirect.info.method.to_string(), inside)
        }
    }
}

#[test]
fn everybody_else_is_followed_into_the_target() {
    for (method, status, location, expected) in [
        ("GET", 302, "/x?y=z#f", ("GET", "/x?y=z")),
        ("HEAD", 302, "/x", ("HEAD", "/x")),
        ("POST", 302, "/x", ("GET", "/x")),
        ("POST", 307, "/x", ("POST", "/x")),
        ("PUT", 303, "/x", ("GET", "/x")),
        ("GET", 301, "x", ("GET", "/a/x")),
        ("GET", 301, "?q", ("GET", "/a/b?q")),
        ("GET", 301, "http://10.77.0.10:8080/x", ("GET", "/x")),
        ("GET", 308, &format!("{PREFIX}/y"), ("GET", "/y")),
        ("GET", 302, "https://web.demo.svc/x", ("GET", "/x")),
        ("GET", 302, "http://web.demo.svc:8080/x", ("GET", "/x")),
        (
            "GET",
            302,
            "http://web.demo.svc.cluster.local/x",
            ("GET", "/x"),
        ),
        ("GET", 302, "/../../x", ("GET", "/x")),
    ] {
        for headers in [&[FETCHES][..], &[]] {
            let mut exchange = Exchange::get("/a/b", headers);
            exchange.method = method;
            let outcome = exchange.decide(backend_response(status, &[("location", location)]));
            let expected = (expected.0.to_owned(), expected.1.to_owned());
            assert_eq!(followed(outcome), expected, "{method} {status} {location}");
        }
    }
}

#[tokio::test]
async fn elsewhere_is_never_followed_but_told() {
    for location in [
        "http://evil.example/x",
        "//evil.example/x",
        "\\\\evil.example",
        "https://web.demo.svc:81/",
        "ftp://web.demo.svc/",
        "http://web.demo.svc@evil.example/",
        "http://169.254.169.254/latest/meta-data",
    ] {
        let exchange = Exchange::get("/", &[FETCHES]);
        let response = answered(exchange.decide(backend_response(302, &[("location", location)])));
        assert_eq!(response.status(), 302);
        let expected = header_map(&[
            ("throughway-location", location),
            ("content-type", "application/json"),
            ("x-content-type-options", "nosniff"),
        ]);
        assert_eq!(*response.headers(), expected);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let said: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&said["kind"], &said["code"]),
            (&"Status".into(), &302.into())
        );
    }
}

#[tokio::test]
async fn a_redirect_to_itself_by_tls_leads_in_no_circle_and_says_what_helps() {
    for location in ["https://web.demo.svc/a?b", "https://web.demo.svc:443/a?b#c"] {
        for headers in [&[NAVIGATES][..], &[FETCHES], &[]] {
            let exchange = Exchange::get("/a?b", headers);
            let response = backend_response(301, &[("location", location)]);
            let response = answered(exchange.decide(response));
            for name in ["location", "refresh"] {
                assert!(!response.headers().contains_key(name), "{location}");
            }
            let said = response.into_body().collect().await.unwrap().to_bytes();
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(said.contains("services/https:NAME:PORT"), "{said}");
        }
    }
}

#[test]
fn manual_is_told_and_not_followed() {
    let exchange = Exchange::get("/", &[FETCHES, ("throughway-redirect", "manual")]);
    let response = answered(exchange.decide(backend_response(307, &[("location", "/x")])));
    assert_eq!(
        response.headers()["throughway-location"],
        format!("{PREFIX}/x").as_str()
    );
    assert!(!response.headers().contains_key("location"));
}

#[test]
fn a_direct_caller_gets_the_redirect_with_a_relative_location() {
    for (location, expected) in [
        ("/x", "../x"),
        ("http://evil.example/", "http://evil.example/"),
        ("y", "y"),
    ] {
        let mut exchange = Exchange::get("/a/b", &[NAVIGATES]);
        exchange.via = authentication::Method::BearerToken;
        let response = answered(exchange.decide(backend_response(302, &[("location", location)])));
        assert_eq!(*response.headers(), header_map(&[("location", expected)]));
    }
}

#[test]
fn responses_that_are_no_redirects_never_carry_a_location_that_the_front_proxy_refuses() {
    for (status, location, expected) in [
        (201, "/x", Some("./x")),
        (404, "/x", Some("./x")),
        (300, "/x", None),
        (304, "/x", None),
        (399, "/x", None),
    ] {
        let exchange = Exchange::get("/", &[FETCHES]);
        let response =
            answered(exchange.decide(backend_response(status, &[("location", location)])));
        let found = response
            .headers()
            .get("location")
            .map(|value| value.to_str().unwrap());
        assert_eq!(found, expected, "{status}");
    }
}

#[test]
fn the_annotation_decides_for_everybody() {
    let mut exchange = Exchange::get("/", &[NAVIGATES]);
    exchange.settings.redirects = Redirects::Follow;
    followed(exchange.decide(backend_response(302, &[("location", "/x")])));
    let mut exchange = Exchange::get("/", &[FETCHES]);
    exchange.settings.redirects = Redirects::Page;
    let response = answered(exchange.decide(backend_response(302, &[("location", "/x")])));
    assert_eq!(response.headers()["refresh"], "0; url=./x");
}

#[test]
fn a_loop_ends_after_ten_hops_with_the_redirect_itself() {
    let exchange = Exchange::get("/", &[("cookie", "a=1")]);
    let mut chain = exchange.chain();
    for at in 1..=10 {
        let cookie = format!("n={at}; Path=/");
        let sent = [("location", "/loop"), ("set-cookie", &*cookie)];
        let Decided::Follow(next) = exchange.decide_on(&mut chain, backend_response(302, &sent))
        else {
            panic!("redirect {at} was not followed");
        };
        assert_eq!(
            next.request.headers()["cookie"],
            format!("a=1; n={at}").as_str()
        );
    }
    let response =
        answered(exchange.decide_on(&mut chain, backend_response(302, &[("location", "/loop")])));
    assert_eq!(response.status(), 302);
    let mut headers = response.headers().clone();
    chain.add_cookies(&mut headers);
    assert_eq!(headers.get_all("set-cookie").iter().count(), 10);
}

#[test]
fn the_missing_slash_is_a_redirect_by_the_same_table() {
    let request = Request::default();
    for (via, headers, expected) in [
        (
            BEHIND,
            &[NAVIGATES][..],
            Some(("refresh", "0; url=proxy/?a=b")),
        ),
        (BEHIND, &[FETCHES], None),
        (BEHIND, &[], None),
        (
            authentication::Method::BearerToken,
            &[],
            Some(("location", "proxy/?a=b")),
        ),
    ] {
        let info = info("GET", "?a=b");
        let response = to_slash(&client(&info, via, headers), &info, &request);
        let found = response.map(|response| {
            assert_eq!(response.status(), StatusCode::MOVED_PERMANENTLY);
            response.headers().clone()
        });
        match expected {
            Some((name, value)) => assert_eq!(found.unwrap()[name], value),
            None => assert!(found.is_none()),
        }
    }
    let post = info("POST", "");
    let direct = client(&post, authentication::Method::BearerToken, &[]);
    assert!(to_slash(&direct, &post, &request).is_none());
    let upgrade = info("GET", "");
    let mut request = Request::default();
    request
        .headers_mut()
        .insert("upgrade", HeaderValue::from_static("websocket"));
    assert!(to_slash(&direct, &upgrade, &request).is_none());
}

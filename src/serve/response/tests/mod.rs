//! Whole responses through every rewriter: what all of them together do, and what that costs.

mod bodies;
mod effort;
pub(crate) mod fuzz;
mod fuzz_cookies;
mod json;
mod reach;

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::protocol::status::Request;
use crate::serve::api::RequestInfo;
use crate::serve::app_login::AppLogin;
use crate::serve::authentication::{self, Caller, User};
use crate::serve::authorization::Permit;
use crate::serve::certificates::SessionKey;
use crate::serve::client::tests::describe;
use crate::serve::cluster::ServiceSettings;
use crate::serve::config::{ApiGroup, LinkStyle};
use crate::serve::destination::{Backends, Destination, DialableAddr, Scheme};
use crate::serve::endpoint::Endpoint;
use crate::serve::html::links::tests::PREFIX;

pub(super) fn endpoint() -> Endpoint {
    Endpoint {
        address: DialableAddr::for_tests(([10, 77, 0, 10], 8080)),
        scheme: Scheme::Http,
        host: HeaderValue::from_static("web.demo.svc"),
        pod: "demo/web-0".into(),
        settings: ServiceSettings::unset(),
    }
}

pub(super) fn info(inside: &str) -> RequestInfo {
    let group = ApiGroup::for_tests();
    let uri = format!("{PREFIX}{inside}").parse().unwrap();
    RequestInfo::read(&group, &http::Method::GET, &uri).unwrap()
}

const BEHIND: authentication::Method = authentication::Method::FrontProxy;
const DIRECT: authentication::Method = authentication::Method::BearerToken;

/// Somebody's request for a path, and the settings of who responds to it.
struct Asked {
    via: authentication::Method,
    path: &'static str,
    headers: HeaderMap,
    settings: std::sync::Arc<ServiceSettings>,
}

impl Asked {
    fn of(via: authentication::Method, headers: &[(&str, &str)]) -> Self {
        Self {
            via,
            path: "/a/b",
            headers: lines(headers),
            settings: ServiceSettings::unset(),
        }
    }

    /// What becomes of a response, if it is given.
    fn answered(&self, response: Response) -> Option<Response> {
        let caller = Caller {
            user: User::default().into(),
            method: self.via,
        };
        let permit = Permit::for_tests(caller, info(self.path));
        let client = describe(&permit, &self.headers, &[]);
        let mut request = Request::default();
        let rewriter = rewriter();
        let settings = std::sync::Arc::clone(&self.settings);
        let destination = Destination::for_tests(&permit, settings, Backends::none());
        let mut redirects = rewriter.redirect_chain();
        redirects.record(&client, &destination, &mut request);
        let endpoint = Endpoint {
            settings: std::sync::Arc::clone(&self.settings),
            ..endpoint()
        };
        let context = ResponseContext {
            client: &client,
            login: &AppLogin::Absent,
            permit: &permit,
            endpoint: &endpoint,
        };
        match rewriter.apply(context, &mut redirects, response) {
            Rewritten::Done(response) => Some(response),
            Rewritten::Follow(_) => None,
        }
    }
}

fn rewriter() -> ResponseRewriter {
    let config = RewriteConfig {
        links: LinkStyle::Relative,
        never_forward_cookies: ["argocd.token".to_owned()].into_iter().collect(),
        page_memory: 1 << 20,
        page_limit: 256 << 20,
    };
    ResponseRewriter::new(config, PageTokens::new(SessionKey::random()))
}

fn lines(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        let name = HeaderName::try_from(*name).unwrap();
        (name, HeaderValue::try_from(*value).unwrap())
    };
    lines.iter().map(line).collect()
}

fn backend_response(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    *response.headers_mut() = lines(headers);
    response
}

fn all(response: &Response, name: &str) -> Vec<String> {
    let values = response.headers().get_all(name).iter();
    values
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}

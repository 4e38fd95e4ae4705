//! 8, the answer. In: the backend's answer, the permit, the endpoint that gave it, who will read it. Out: what the reader gets,
//! or the next hop of a redirect that is followed here.
//!
//! Each rewriter is a file, this page has their order. Upgrades pass as they are.

mod cookies;
#[allow(dead_code, reason = "pages will use the rest")]
mod link;
mod login;
#[allow(dead_code, reason = "pages will use it")]
mod policy;
mod reader;
mod redirect;
mod safety;

use http::{HeaderMap, HeaderValue, StatusCode, header};

pub use reader::Reading;
pub use redirect::follow::{Hop, Trail};

use crate::authorization::Permit;
use crate::cluster::ServiceSettings;
use crate::endpoint::Endpoint;
use crate::forward::Logins;
use crate::status::{Request, Response};
use link::{Form, Links};
use reader::Via;
use redirect::Situation;

/// What becomes of an answer.
#[derive(Debug)]
pub enum Outcome {
    Answer(Response),
    Follow(Hop),
}

/// An answer that needs no backend, if this request has one.
pub async fn own_answer(
    reading: &Reading,
    permit: &Permit,
    logins: &Logins,
    request: &mut Request,
) -> Option<Response> {
    if let Some(answer) = login::own_answer(reading, permit, logins, request).await {
        return Some(answer);
    }
    redirect::to_slash(reading, permit.asked(), request)
}

/// Takes note of what a redirect would need that is followed here.
pub fn trail(
    reading: &Reading,
    permit: &Permit,
    settings: &ServiceSettings,
    request: &mut Request,
) -> Trail {
    if redirect::may_follow(reading, settings) {
        Trail::begin(permit.asked(), request)
    } else {
        Trail::without_hops()
    }
}

/// Applies the rewriters in their order.
pub fn answer(
    reading: &Reading,
    trail: &mut Trail,
    permit: &Permit,
    endpoint: &Endpoint,
    mut response: Response,
) -> Outcome {
    let links = Links::new(permit.asked(), endpoint, Form::Relative);
    safety::remove(response.headers_mut(), &links);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        cookies::rewrite(response.headers_mut(), reading.prefix(permit));
        return Outcome::Answer(response);
    }
    let at = Situation {
        reading,
        settings: &endpoint.settings,
        asked: permit.asked(),
        links: &links,
    };
    let mut response = match redirect::decide(at, trail, response) {
        redirect::Outcome::Answer(response) => response,
        redirect::Outcome::Follow(hop) => return Outcome::Follow(hop),
    };
    let headers = response.headers_mut();
    trail.hand_out(headers);
    cookies::rewrite(headers, reading.prefix(permit));
    if trail.has_hops() && !headers.contains_key("throughway-location") {
        redirect::name_end(permit.asked(), headers);
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        let refused = response.headers_mut();
        if let Some(page) = login::in_place_of(reading, permit.asked(), refused) {
            return Outcome::Answer(page);
        }
    }
    if reading.via == Via::FrontProxy {
        protect_pages(response.headers_mut());
    }
    Outcome::Answer(response)
}

/// Spells `text/html` so that kube-aggregator does not know it: it would make every link lead to this server's own address,
/// hold the page back until it is whole, and break it if it is encoded. Media types have no case (RFC 9110 section 8.3.1).
fn protect_pages(headers: &mut HeaderMap) {
    const HTML: &[u8] = b"text/html";
    let Some(content_type) = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) else {
        return;
    };
    if content_type.starts_with(HTML) {
        let spelled = [b"Text/html", &content_type[HTML.len()..]].concat();
        let spelled =
            HeaderValue::from_bytes(&spelled).expect("a letter's case changes no validity");
        headers.insert(header::CONTENT_TYPE, spelled);
    }
}

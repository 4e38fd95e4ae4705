//! 8, the answer. In: the backend's answer, the permit, the endpoint that gave it, who will read it. Out: what the reader gets.
//!
//! Each rewriter is a file, this page has their order. Upgrades pass as they are.

mod reader;
mod redirect;

use http::{HeaderMap, HeaderValue, StatusCode, header};

pub use reader::Reading;

use crate::authorization::Permit;
use crate::endpoint::Endpoint;
use crate::status::Response;
use reader::Via;

/// Applies the rewriters in their order.
pub fn answer(
    reading: &Reading,
    permit: &Permit,
    endpoint: &Endpoint,
    mut response: Response,
) -> Response {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    redirect::rewrite(permit.asked(), endpoint, response.headers_mut());
    if reading.via == Via::FrontProxy {
        protect_pages(response.headers_mut());
    }
    response
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

//! 8, the answer. In: the backend's answer, the permit, the endpoint that gave it. Out: what the caller gets.
//!
//! Untouched but for `Location`, which is made to lead through the proxy again. Upgrades pass as they are. This folder is
//! the place for whatever else an answer needs: each rewriter is a file, this page has their order.

#[cfg_attr(not(test), expect(dead_code, reason = "no stage hands it out yet"))]
mod page_helper;
mod redirect;

use http::StatusCode;

use crate::authorization::Permit;
use crate::endpoint::Endpoint;
use crate::status::Response;

/// Applies the rewriters in their order.
pub fn answer(permit: &Permit, endpoint: &Endpoint, mut response: Response) -> Response {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        redirect::rewrite(permit.asked(), endpoint, response.headers_mut());
    }
    response
}

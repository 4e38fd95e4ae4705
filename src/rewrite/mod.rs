//! 8, the answer. In: the backend's answer, the permit, the endpoint that gave it. Out: what the caller gets.
//!
//! Untouched but for `Location`, which is made to lead through the proxy again. Upgrades pass as they are. This folder is
//! the place for whatever else an answer needs: each rewriter is a file, this page has their order.

mod link;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "answers are given to it with the next change")
)]
mod page;
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

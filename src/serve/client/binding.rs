//! What a secret that a browser keeps is bound to: one user at one target.
//!
//! Out: bytes that no other user and no other target has. Each part has its length in front, so that none can run into
//! the next.

use crate::serve::api::RequestInfo;
use crate::serve::authorization::Permit;

/// Changes with the layout of what is bound, so that old cookies don't open and old tokens are not good.
const VERSION: u8 = 1;

/// Who at which target.
pub fn user_and_target(permit: &Permit) -> Vec<u8> {
    let RequestInfo {
        resource,
        namespace,
        name,
        ..
    } = permit.info();
    let mut bound = vec![VERSION];
    let user = permit.caller().user.name.as_str();
    // Lengths first: without them, user `a` at `bc` and user `ab` at `c` would be the same.
    for part in [user, resource.as_str(), namespace, name] {
        bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bound.extend_from_slice(part.as_bytes());
    }
    bound
}

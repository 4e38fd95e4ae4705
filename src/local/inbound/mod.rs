//! What holds for every request before it is sent on: where it came in, which host it names, and whether its browser
//! may send it.
//!
//! In: connections to the companion. Out: a request that names the API or a target, or a refusal. Of what comes back to
//! the API's origin, `inert` takes what would make it a page there.

pub(super) mod client_kind;
pub(super) mod guard;
pub(super) mod host_route;
pub(super) mod inert;
pub(super) mod listen;
pub(super) mod login;
pub(super) mod proxy_path;
pub(super) mod random_token;
pub(super) mod request_line;

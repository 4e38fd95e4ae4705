//! What `serve` and `local` both speak: Kubernetes' Status, HTTP's rules for hops and hosts, and the envelope between
//! the two.
//!
//! Nothing here knows a stage of either.

pub mod envelope;
pub mod fetch_metadata;
pub mod forwarded_for;
pub mod guarded_body;
pub mod hop_by_hop;
pub mod host;
pub mod html_escape;
pub mod status;

/// What this program calls itself where it asks the API server for itself.
pub const USER_AGENT: &str = concat!("throughway/", env!("CARGO_PKG_VERSION"));

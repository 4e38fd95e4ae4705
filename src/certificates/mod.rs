//! Which keys and roots hold now: read handles for the handshake, authentication and dialling.

mod kubelet;
mod trust;

pub use kubelet::KubeletAccess;
pub use trust::{RequestHeader, Roots, Trust, Verdict};

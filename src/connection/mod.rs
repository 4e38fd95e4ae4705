//! 1, a caller connects.

mod peer;

pub use peer::Peer;

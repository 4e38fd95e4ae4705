//! What several test binaries share.

pub mod backend;
pub mod browser;
pub mod client;
pub mod hostile;

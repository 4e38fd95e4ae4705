//! 6, which one. In: a [`Target`]. Out: a [`Choice`]: the endpoint to use, and whom to try if it refuses the connection.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;

use crate::target::{Scheme, Target};

/// One chosen backend address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub scheme: Scheme,
    /// What the backend sees as `Host`.
    pub host: HeaderValue,
    /// `namespace/name` of the pod, for the log; empty for nodes.
    pub pod: Arc<str>,
}

/// Endpoints in the order in which they should be tried; the next one only if no connection was made to the one before.
#[derive(Debug, Clone)]
pub struct Choice {
    pub first: Endpoint,
    pub others: Vec<Endpoint>,
}

/// Chooses endpoints, and remembers which ones refused connections.
#[derive(Debug)]
pub struct Endpoints {}

impl Endpoints {
    pub fn new() -> Self {
        todo!()
    }

    pub fn choose(&self, _target: &Target) -> Choice {
        todo!()
    }
}

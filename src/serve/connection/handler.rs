//! What responds to requests, as the connections see it.

use std::future::Future;

use super::Peer;
use crate::protocol::status::{Request, Response};

/// Responds to the requests of all connections; a function of a peer and a request is one.
pub trait Handler: Clone + Send + Sync + 'static {
    type Response: Future<Output = Response> + Send + 'static;

    /// The request is on the heap: it is passed from stage to stage, each of which would hold a copy of it.
    fn handle(&self, peer: Peer, request: Box<Request>) -> Self::Response;
}

impl<H, F> Handler for H
where
    H: Fn(Peer, Box<Request>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    type Response = F;

    fn handle(&self, peer: Peer, request: Box<Request>) -> F {
        self(peer, request)
    }
}

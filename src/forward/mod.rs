//! 7, send it on. In: a [`Permit`], a [`Choice`], the request. Out: the backend's answer.

use crate::authorization::Permit;
use crate::certificates::KubeletAccess;
use crate::config::ForwardConfig;
use crate::connection::Peer;
use crate::endpoint::{Choice, Endpoint};
use crate::lifecycle::Tasks;
use crate::status::{Request, Response, Status};

#[derive(Debug, thiserror::Error)]
pub enum ForwardError {}

impl ForwardError {
    pub fn status(&self) -> Status {
        todo!()
    }

    /// One word for the log line and the metric label.
    pub fn reason(&self) -> &'static str {
        todo!()
    }
}

/// An answer and the endpoint that gave it.
#[derive(Debug)]
pub struct Forwarded {
    pub response: Response,
    pub endpoint: Endpoint,
}

#[derive(Debug)]
pub struct Forward {}

impl Forward {
    pub fn new(_config: ForwardConfig, _kubelet: KubeletAccess, _tasks: Tasks) -> Self {
        todo!()
    }

    pub async fn send(
        &self,
        _peer: &Peer,
        _permit: &Permit,
        _choice: Choice,
        _request: Request,
    ) -> Result<Forwarded, ForwardError> {
        todo!()
    }
}

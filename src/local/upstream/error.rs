//! Why there is no response of the API server, and how that is told.

use std::time::Duration;

use crate::local::api_server::{ConnectError, CredentialError};
use crate::local::problem::{Advice, Problem};
use crate::protocol::status::Status;

/// Why the API server gave no response.
#[derive(Debug, thiserror::Error)]
pub(in crate::local) enum UpstreamError {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the connection to the API server broke: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the API server did not respond within --request-timeout, {0:?}")]
    Timeout(Duration),
    #[error("the path of the request is not valid in a URL")]
    Path,
    #[error("the body of the request ended too early")]
    CallerGone,
}

impl UpstreamError {
    pub(in crate::local) fn problem(&self) -> Problem {
        let title = "The cluster does not respond";
        match self {
            Self::Credential(failed) => failed.problem(),
            Self::Connect(failed) => failed.problem(),
            Self::Broken(_) => Problem::new(Status::bad_gateway(self.to_string()), title).advise(
                Advice::Sentence("Try again; the next request makes a new connection.".to_owned()),
            ),
            Self::Timeout(_) => Problem::new(Status::gateway_timeout(self.to_string()), title),
            Self::Path => Problem::new(Status::bad_request(self.to_string()), "No such path"),
            Self::CallerGone => Problem::new(
                Status::bad_request(self.to_string()),
                "The request is incomplete",
            ),
        }
    }
}

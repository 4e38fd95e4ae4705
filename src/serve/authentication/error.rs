//! Why nobody knows who asks, and what the caller is told of it.

use std::sync::Arc;

use crate::protocol::status::Status;
use crate::serve::cluster::ApiServerError;
use crate::serve::fairness::TooManyReviews;
use crate::serve::refusal::Refuse;

/// Why nobody knows who asks.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    #[error("the client certificate is of no CA that is trusted now")]
    Certificate(#[source] Arc<rustls::Error>),
    #[error("the certificate's name {0:?} is not one of the front proxy's")]
    FrontProxyName(String),
    #[error("the client certificate can't be read")]
    Unparsable,
    #[error("the bearer token is not known")]
    Token,
    #[error("the WebSocket sub-protocol holds no usable token")]
    WebSocketToken,
    #[error("the token could not be reviewed")]
    Review(#[source] Arc<ReviewError>),
    #[error("too many callers that are not known yet, try again later")]
    Crowded,
    #[error("no credential came, and anonymous requests are not accepted here")]
    Anonymous,
    #[error("impersonation is not offered here; ask kube-apiserver")]
    Impersonation,
}

/// Why a review gave no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    #[error(transparent)]
    Limited(#[from] TooManyReviews),
    #[error(transparent)]
    ApiServerError(#[from] ApiServerError),
}

impl Refuse for AuthenticationError {
    /// What the caller is told: one word, as from Kubernetes, except where it is not their credential's fault.
    fn status(&self) -> Status {
        match self {
            Self::Review(_) => Status::internal(self.to_string()),
            Self::Impersonation => Status::bad_request(self.to_string()),
            Self::Crowded => Status::too_many_requests(self.to_string()),
            Self::Certificate(_)
            | Self::FrontProxyName(_)
            | Self::Unparsable
            | Self::Token
            | Self::Anonymous
            | Self::WebSocketToken => Status::unauthorized(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "certificate",
            Self::FrontProxyName(_) => "front_proxy_name",
            Self::Unparsable => "certificate_unparsable",
            Self::Token => "token",
            Self::WebSocketToken => "websocket_token",
            Self::Review(_) => "token_review",
            Self::Crowded => "crowded_unknown",
            Self::Anonymous => "anonymous",
            Self::Impersonation => "impersonation",
        }
    }
}

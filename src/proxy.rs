//! The road: one request from the first look at it to its answer.

use crate::api::{RequestInfo, Unserved};
use crate::authentication::{Authentication, AuthenticationError};
use crate::authorization::{Authorization, AuthorizationError};
use crate::config::ApiGroup;
use crate::connection::Peer;
use crate::endpoint::{EndpointError, Endpoints};
use crate::forward::{Forward, ForwardError};
use crate::rewrite;
use crate::status::{Request, Response, Status};
use crate::target::{TargetError, Targets};

/// Every stage that a request passes, in the order in which it passes them.
#[derive(Debug)]
pub struct Road {
    pub group: ApiGroup,
    pub authentication: Authentication,
    pub authorization: Authorization,
    pub targets: Targets,
    pub endpoints: Endpoints,
    pub forward: Forward,
}

/// Why a request did not reach the end of the road: one variant a stage.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Unserved(#[from] Unserved),
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    #[error(transparent)]
    Authorization(#[from] AuthorizationError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error(transparent)]
    Forward(#[from] ForwardError),
}

/// Answers one request for a `/proxy` subresource, or for a path that nothing else serves.
pub async fn proxy(road: &Road, peer: &Peer, request: Request) -> Response {
    match travel(road, peer, request).await {
        Ok(answer) => answer,
        Err(refusal) => refusal.status().into_response(),
    }
}

async fn travel(road: &Road, peer: &Peer, request: Request) -> Result<Response, Refusal> {
    let asked = RequestInfo::read(&road.group, request.method(), request.uri());
    let (caller, request) = road.authentication.identify(peer, request).await?;
    let permit = road.authorization.authorize(caller, asked?).await?;
    let target = road.targets.resolve(&permit).await?;
    let choice = road.endpoints.choose(&target)?;
    let forwarded = road.forward.send(peer, &permit, choice, request).await?;
    Ok(rewrite::answer(
        &permit,
        &forwarded.endpoint,
        forwarded.response,
    ))
}

impl Refusal {
    fn status(&self) -> Status {
        match self {
            Self::Unserved(unserved) => unserved.status(),
            Self::Authentication(refused) => refused.status(),
            Self::Authorization(refused) => refused.status(),
            Self::Target(refused) => refused.status(),
            Self::Endpoint(refused) => refused.status(),
            Self::Forward(failed) => failed.status(),
        }
    }
}

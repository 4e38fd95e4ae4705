//! The way of a request: every stage in its order, from the first look at a request to the head of its response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{StatusCode, header};
use http_body::Body as _;

use crate::causes::causes;
use crate::protocol::envelope::NoOrigin;
use crate::protocol::forwarded_for;
use crate::protocol::status::{Request, Response, Status};
use crate::serve::api::{RequestInfo, THROUGHWAY_PATH, Unserved};
use crate::serve::authentication::{Authentication, AuthenticationError};
use crate::serve::authorization::{Authorization, AuthorizationError};
use crate::serve::client::{Clients, CrossSite};
use crate::serve::config::ApiGroup;
use crate::serve::connection::{Peer, PeerClass};
use crate::serve::destination::{DestinationError, Destinations};
use crate::serve::endpoint::{EndpointError, Endpoints};
use crate::serve::fairness::{Rate, ReviewLimit};
use crate::serve::forward::{Forward, ForwardError};
use crate::serve::in_flight::{InFlight, TooManyRequests};
use crate::serve::refusal::{Fault, Refuse};
use crate::serve::request_context::RequestContext;
use crate::serve::response::{OwnPages, ResponseRewriter, Rewritten};
use crate::serve::telemetry::{AccessLog, AuditId, Metrics, TraceId};

/// Every stage that a request passes, in the order in which it passes them.
#[derive(Debug)]
pub struct Stages {
    pub group: ApiGroup,
    pub authentication: Authentication,
    pub in_flight: InFlight,
    pub authorization: Arc<Authorization>,
    pub clients: Clients,
    pub own_pages: OwnPages,
    pub destinations: Destinations,
    pub endpoints: Endpoints,
    pub forward: Forward,
    pub responses: ResponseRewriter,
    /// The limit that authentication and authorization share.
    pub reviews: Arc<ReviewLimit>,
    /// Log lines about refusals: callers cause them, so there are so many and no more.
    pub refusals: Rate,
    pub metrics: Arc<Metrics>,
    pub access: AccessLog,
}

/// Why a request was not passed on: one variant a stage.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Unserved(#[from] Unserved),
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    #[error(transparent)]
    Crowded(#[from] TooManyRequests),
    #[error(transparent)]
    Authorization(#[from] AuthorizationError),
    #[error(transparent)]
    Envelope(#[from] NoOrigin),
    #[error(transparent)]
    CrossSite(#[from] CrossSite),
    #[error(transparent)]
    Destination(#[from] DestinationError),
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error(transparent)]
    Forward(#[from] ForwardError),
}

/// Responds to one request for a `/proxy` subresource, or for a path that nothing else serves.
pub async fn respond(stages: &Stages, peer: &Peer, request: Box<Request>) -> Response {
    // Kept as a Result: what is served here is said only to callers who are known.
    let info = RequestInfo::of(
        &stages.group,
        request.method(),
        request.uri(),
        request.headers(),
    );
    let context = begin(stages, peer, &request, info.as_ref().ok());
    let mut response = match handle(stages, peer, &context, info, request).await {
        Ok(response) => response,
        Err(refusal) => refuse(stages, &refusal, peer, &context),
    };
    // kube-apiserver says it itself, and would pass ours on as a second line.
    if peer.class() == PeerClass::Stranger {
        context.audit_id().echo(response.headers_mut());
    }
    context.note(|record| {
        record.status = response.status().as_u16();
        record.responded = Some(Instant::now());
    });
    // With the head of the response, as the body of a 101 is the tunnel and has a limit of its own.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        context.release_slot();
    }
    // A body that is over has nobody to hold the record, which ends here.
    if !response.body().is_end_stream() {
        // For the connection, which sees whether the body is taken.
        response.extensions_mut().insert(context);
    }
    response
}

/// The drawing of the front page of [`crate::serve`], line by line.
async fn handle(
    stages: &Stages,
    peer: &Peer,
    context: &Arc<RequestContext>,
    info: Result<RequestInfo, Unserved>,
    request: Box<Request>,
) -> Result<Response, Refusal> {
    let Stages {
        authentication,
        in_flight,
        authorization,
        clients,
        own_pages,
        destinations,
        endpoints,
        forward,
        responses,
        ..
    } = stages;
    let (caller, mut request) = authentication.identify(context, peer, request).await?;
    // After authentication, as shares are those of users; before authorization, as a review is work already.
    in_flight.acquire(context, &caller)?;
    // An unknown path is said only here, after the caller is known.
    let mut permit = authorization.authorize(context, caller, info?).await?;
    let client = clients.describe(&permit, &mut request)?;
    // Pages of this server's own need no backend, yet the same right.
    if let Some(response) = own_pages.respond(&client, &permit, &mut request).await {
        return Ok(response);
    }
    // Empty for nearly all requests; a redirect that is followed adds to it.
    let mut redirects = responses.redirect_chain();
    loop {
        let destination = destinations.resolve(&permit).await?;
        // Once the Service is known, as its settings may allow requests of other sites.
        clients.guard(&permit, &client, destination.settings(), &request)?;
        // Before the request is sent, as its body is gone then.
        redirects.record(&client, &destination, &mut request);
        let order = endpoints.choose(context, &destination).await?;
        let forwarded = forward.send(context, peer, &client, order, request).await?;
        match responses.rewrite(&client, &mut redirects, forwarded) {
            Rewritten::Done(response) => return Ok(response),
            // A redirect that is followed here passes every stage again.
            Rewritten::Follow(next) => {
                permit = authorization
                    .authorize_next(context, permit, next.info)
                    .await?;
                request = next.request;
            }
        }
    }
}

/// The record of a request, with what its head says before anybody has looked at it more closely.
fn begin(
    stages: &Stages,
    peer: &Peer,
    request: &Request,
    info: Option<&RequestInfo>,
) -> Arc<RequestContext> {
    // The caller's own id if there is one, so that it names the same request in all logs.
    let audit_id = AuditId::of(request.headers());
    let context =
        RequestContext::begin(audit_id, Arc::clone(&stages.metrics), stages.access.clone());
    context.note(|record| {
        record.method = Some(request.method().clone());
        record.peer = Some(peer.address());
        // Only for a line that will be written.
        if context.is_logged() {
            record.trace = TraceId::of(request.headers());
            record.forwarded_for = forwarded_for::last_hop(request.headers());
            let inside = request.headers().get(THROUGHWAY_PATH);
            record.inner_path = inside.map(|inside| inner_path(inside.as_bytes()));
        }
        // The rest is about a target, and a path that is none names none.
        let Some(info) = info else { return };
        record.verb = info.verb.as_str();
        record.resource = info.resource.as_str();
        record.namespace.clone_from(&info.namespace);
        record.name.clone_from(&info.name);
    });
    context
}

/// The path that stands for the one of the URL, without its query, as far as a log line has room for it.
fn inner_path(raw: &[u8]) -> String {
    const MAX_LENGTH: usize = 256;
    let path = raw.split(|byte| *byte == b'?').next().unwrap_or_default();
    String::from_utf8_lossy(&path[..path.len().min(MAX_LENGTH)]).into_owned()
}

/// The one place where a refusal becomes a response, and where its causes are said.
fn refuse(stages: &Stages, refusal: &Refusal, peer: &Peer, context: &RequestContext) -> Response {
    let stage = refusal.stage();
    let (reason, fault) = (stage.reason(), stage.fault());
    context.note(|record| {
        record.reason = Some(reason);
        record.fault = Some(fault);
    });
    let audit_id = context.audit_id().as_str();
    let address = peer.address();
    match fault {
        Fault::Server | Fault::Backend => {
            // Callers cause these, so a flood of them must not become a flood of lines.
            if stages.refusals.take(Duration::ZERO).is_some() {
                let error = causes(refusal);
                tracing::warn!(audit_id, peer.address = %address, reason, error, "request refused");
            }
        }
        Fault::Caller => {
            tracing::debug!(audit_id, peer.address = %address, reason, error = causes(refusal), "request refused");
        }
    }
    let mut response = stage.status().into_response();
    if peer.class() == PeerClass::FrontProxy {
        // kube-apiserver says the same itself, and would pass ours on as a second line.
        response.headers_mut().remove(header::CACHE_CONTROL);
    }
    response
}

impl Refusal {
    /// What the stage says that refused.
    fn stage(&self) -> &dyn Refuse {
        match self {
            Self::Unserved(refused) => refused,
            Self::Authentication(refused) => refused,
            Self::Crowded(refused) => refused,
            Self::Authorization(refused) => refused,
            Self::Envelope(refused) => refused,
            Self::CrossSite(refused) => refused,
            Self::Destination(refused) => refused,
            Self::Endpoint(refused) => refused,
            Self::Forward(refused) => refused,
        }
    }
}

impl Refuse for NoOrigin {
    fn status(&self) -> Status {
        Status::bad_request(self.to_string())
    }

    fn reason(&self) -> &'static str {
        "origin"
    }
}

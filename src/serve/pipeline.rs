//! The road: one request from the first look at it to the head of its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{StatusCode, header};
use http_body::Body as _;

use crate::causes::causes;
use crate::protocol::envelope::{self, NoOrigin};
use crate::protocol::forwarded_for;
use crate::protocol::status::{Request, Response, Status};
use crate::serve::api::{RequestInfo, THROUGHWAY_PATH, Unserved, Verb};
use crate::serve::authentication::{Authentication, AuthenticationError};
use crate::serve::authorization::{Authorization, AuthorizationError, Permit};
use crate::serve::config::ApiGroup;
use crate::serve::connection::{Peer, PeerClass};
use crate::serve::destination::{TargetError, Targets};
use crate::serve::endpoint::{Endpoint, EndpointError, Endpoints};
use crate::serve::fairness::{Full, Place, Places, Rate, ReviewLimit};
use crate::serve::forward::{CrossSite, Forward, ForwardError};
use crate::serve::response::{Answers, Occasion, Outcome, Reading};
use crate::serve::telemetry::{self, AccessLog, AuditId, Fault, Journey, Metrics, TraceId};

/// Every stage that a request passes, in the order in which it passes them.
#[derive(Debug)]
pub struct Road {
    pub group: ApiGroup,
    pub authentication: Authentication,
    pub authorization: Arc<Authorization>,
    pub targets: Targets,
    pub endpoints: Endpoints,
    pub forward: Forward,
    pub answers: Answers,
    /// The limit that authentication and authorization share.
    pub reviews: Arc<ReviewLimit>,
    /// Places for requests of known callers that are no tunnel.
    pub in_flight: Arc<Places>,
    /// Log lines about refusals: callers cause them, so there are so many and no more.
    pub refusals: Rate,
    pub metrics: Arc<Metrics>,
    pub access: AccessLog,
}

/// Why a request did not reach the end of the road: one variant a stage.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("too many requests, try again later: {0}")]
    Crowded(#[from] Full),
    #[error(transparent)]
    Unserved(#[from] Unserved),
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    #[error(transparent)]
    Envelope(#[from] NoOrigin),
    #[error(transparent)]
    CrossSite(#[from] CrossSite),
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
pub async fn proxy(road: &Road, peer: &Peer, request: Box<Request>) -> Response {
    let audit_id = AuditId::of(request.headers());
    let journey = Journey::begin(audit_id, Arc::clone(&road.metrics), road.access.clone());
    journey.note(|record| {
        record.method = Some(request.method().clone());
        record.peer = Some(peer.address());
        if journey.is_logged() {
            record.trace = TraceId::of(request.headers());
            record.forwarded_for = forwarded_for::last_hop(request.headers());
        }
    });
    let mut place = None;
    let mut response = match travel(road, peer, &journey, request, &mut place).await {
        Ok(answer) => answer,
        Err(refusal) => refuse(road, &refusal, peer, &journey),
    };
    // kube-apiserver says it itself, and would pass ours on as a second line.
    if peer.class() == PeerClass::Stranger {
        journey.audit_id().echo(response.headers_mut());
    }
    journey.note(|record| {
        record.status = response.status().as_u16();
        record.answered = Some(Instant::now());
        // A tunnel has a place of its own.
        record.place = place.filter(|_| response.status() != StatusCode::SWITCHING_PROTOCOLS);
    });
    if !response.body().is_end_stream() {
        // For the connection, which sees whether the body is taken.
        response.extensions_mut().insert(Arc::clone(&journey));
    }
    response
}

async fn travel(
    road: &Road,
    peer: &Peer,
    journey: &Arc<Journey>,
    request: Box<Request>,
    place: &mut Option<Place>,
) -> Result<Response, Refusal> {
    let asked = RequestInfo::of(
        &road.group,
        request.method(),
        request.uri(),
        request.headers(),
    );
    note_asked(journey, asked.as_ref().ok(), &request);
    let (caller, mut request) = road.authentication.identify(peer, request).await?;
    journey.note(|record| {
        record.user.clone_from(&caller.user.name);
        record.groups = caller.user.groups.len();
        record.identified = journey.time();
    });
    let namespace = asked.as_ref().map_or("", |asked| &asked.namespace);
    *place = Some(road.in_flight.take(caller.holder(), namespace)?);
    let mut permit = road.authorization.authorize(caller, asked?).await?;
    journey.note(|record| record.authorized = journey.time());
    let reading = describe_client(road, &permit, &mut request)?;
    let (forward, answers) = (&road.forward, &road.answers);
    let own = answers.own_answer(&reading, &permit, forward.logins(), &mut request);
    if let Some(own) = own.await {
        return Ok(own);
    }
    let mut target = road.targets.resolve(&permit).await?;
    forward.guard(&permit, reading.seen(), &target.settings, &request)?;
    let mut trail = answers.trail(&reading, &permit, &target.settings, &mut request);
    loop {
        let choice = road.endpoints.choose(&target).await?;
        journey.note(|record| record.resolved = journey.time());
        let forwarded = forward
            .send(peer, &permit, reading.seen(), journey, choice, request)
            .await?;
        let on = Occasion {
            reading: &reading,
            permit: &permit,
            endpoint: &forwarded.endpoint,
        };
        let outcome = answers.rewrite(on, &mut trail, forwarded.response);
        note_answering(journey, forwarded.endpoint);
        // A redirect that is followed here passes every stage again.
        let hop = match outcome {
            Outcome::Answer(answer) => return Ok(answer),
            Outcome::Follow(hop) => hop,
        };
        let caller = permit.caller().clone();
        permit = road
            .authorization
            .authorize(caller, hop.asked.clone())
            .await?;
        target = road.targets.resolve(&permit).await?;
        request = trail.request(hop);
    }
}

/// Who is on the other end, and how they see the target. The request is then as it was sent to the target.
fn describe_client(
    road: &Road,
    permit: &Permit,
    request: &mut Request,
) -> Result<Reading, Refusal> {
    // It may have come as a POST.
    request.method_mut().clone_from(&permit.asked().method);
    let own_origin = envelope::open_request(request.headers_mut())?;
    if own_origin.is_some() {
        // What was inside is as the page sent it, and no stage has looked at it.
        road.authentication.remove_claims(request.headers_mut());
    }
    let seen = road.forward.seen(permit, own_origin, request)?;
    let login = road
        .forward
        .logins()
        .presented(permit, &seen, request.headers());
    Ok(Reading::of(permit, request.headers(), seen).with_login(login))
}

fn note_answering(journey: &Journey, endpoint: Endpoint) {
    journey.note(|record| {
        record.address = Some(endpoint.address);
        record.pod = Some(endpoint.pod);
    });
}

fn note_asked(journey: &Journey, asked: Option<&RequestInfo>, request: &Request) {
    journey.note(|record| {
        if journey.is_logged() {
            let inside = request.headers().get(THROUGHWAY_PATH);
            record.inner_path = inside.map(|inside| inner_path(inside.as_bytes()));
        }
        let Some(asked) = asked else { return };
        record.verb = label(asked.verb);
        record.resource = asked.resource.as_str();
        record.namespace.clone_from(&asked.namespace);
        record.name.clone_from(&asked.name);
    });
}

/// The path that stands for the one of the URL, without its query, as far as a log line has room for it.
fn inner_path(raw: &[u8]) -> String {
    const MAX_LENGTH: usize = 256;
    let path = raw.split(|byte| *byte == b'?').next().unwrap_or_default();
    String::from_utf8_lossy(&path[..path.len().min(MAX_LENGTH)]).into_owned()
}

fn label(verb: Verb) -> telemetry::Verb {
    match verb {
        Verb::Get => telemetry::Verb::Get,
        Verb::Create => telemetry::Verb::Create,
        Verb::Update => telemetry::Verb::Update,
        Verb::Patch => telemetry::Verb::Patch,
        Verb::Delete => telemetry::Verb::Delete,
        Verb::Unnamed => telemetry::Verb::Other,
    }
}

/// The one place where a refusal becomes a response, and where its causes are said.
fn refuse(road: &Road, refusal: &Refusal, peer: &Peer, journey: &Journey) -> Response {
    let (reason, fault) = refusal.cause();
    journey.note(|record| {
        record.reason = Some(reason);
        record.fault = Some(fault);
    });
    let audit_id = journey.audit_id().as_str();
    let address = peer.address();
    match fault {
        Fault::Server | Fault::Backend => {
            if road.refusals.take(Duration::ZERO).is_some() {
                let error = causes(refusal);
                tracing::warn!(audit_id, peer.address = %address, reason, error, "request refused");
            }
        }
        Fault::Caller => {
            tracing::debug!(audit_id, peer.address = %address, reason, error = causes(refusal), "request refused");
        }
    }
    let mut response = refusal.status().into_response();
    if peer.class() == PeerClass::FrontProxy {
        // kube-apiserver says the same itself, and would pass ours on as a second line.
        response.headers_mut().remove(header::CACHE_CONTROL);
    }
    response
}

impl Refusal {
    fn status(&self) -> Status {
        match self {
            Self::Crowded(_) => Status::too_many_requests(self.to_string()),
            Self::Unserved(unserved) => unserved.status(),
            Self::Authentication(refused) => refused.status(),
            Self::Envelope(refused) => Status::bad_request(refused.to_string()),
            Self::CrossSite(refused) => refused.status(),
            Self::Authorization(refused) => refused.status(),
            Self::Target(refused) => refused.status(),
            Self::Endpoint(refused) => refused.status(),
            Self::Forward(failed) => failed.status(),
        }
    }

    /// One word for the log line and the metric label, and whose doing it is.
    fn cause(&self) -> (&'static str, Fault) {
        let of_caller_unless_5xx = |status: Status| {
            if status.code.is_server_error() {
                Fault::Server
            } else {
                Fault::Caller
            }
        };
        match self {
            Self::Crowded(Full::Everybody) => ("crowded", Fault::Server),
            Self::Crowded(Full::User) => ("user_share", Fault::Caller),
            Self::Crowded(Full::Namespace) => ("namespace_share", Fault::Caller),
            Self::Unserved(unserved) => (unserved.reason(), Fault::Caller),
            Self::Envelope(_) => ("origin", Fault::Caller),
            Self::CrossSite(_) => ("cross_site", Fault::Caller),
            Self::Authentication(refused) => {
                (refused.reason(), of_caller_unless_5xx(refused.status()))
            }
            Self::Authorization(refused) => {
                (refused.reason(), of_caller_unless_5xx(refused.status()))
            }
            Self::Target(refused) => (refused.reason(), of_caller_unless_5xx(refused.status())),
            Self::Endpoint(refused) => (refused.reason(), Fault::Backend),
            Self::Forward(failed) => (failed.reason(), failed.fault()),
        }
    }
}

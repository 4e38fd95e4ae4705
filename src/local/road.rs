//! The companion's road: one request from its Host to its answer.

use std::sync::Arc;

use http::{Method, header};

use super::api::Api;
use super::guard;
use super::login::{Admission, Logins};
use super::page::StartPage;
use super::place::{NoPlace, Place, Target, without_port};
use super::problem::{Advice, Problem, Reader};
use super::way::{Visit, Ways};
use crate::config::CrossSite;
use crate::status::{Request, Response, Status};

/// Every stage that a request passes.
#[derive(Debug)]
pub(super) struct Road {
    pub(super) api: Api,
    pub(super) ways: Ways,
    pub(super) page: StartPage,
    pub(super) logins: Option<Logins>,
    pub(super) cross_site: CrossSite,
}

/// What a listener serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Door {
    /// The API, and every target by its Host.
    Everything,
    /// `--forward`: one target, whatever loopback name is used for it.
    One(Arc<Target>),
}

/// Answers one request.
pub(super) async fn answer(road: &Road, door: &Door, request: Request) -> Response {
    let reader = Reader::of(request.method(), request.headers());
    match travel(road, door, reader, request).await {
        Ok(answer) => answer,
        Err(problem) => problem.answer(reader),
    }
}

async fn travel(
    road: &Road,
    door: &Door,
    reader: Reader,
    mut request: Request,
) -> Result<Response, Problem> {
    let host = host(&request)?;
    let place = door.place(&host)?;
    let is_kubectls = place == Place::Api && road.cross_site == CrossSite::Allow;
    if !is_kubectls {
        guard::check(request.method(), request.headers(), &host).map_err(|no| no.problem())?;
        if place == Place::Api {
            guard::check_api(request.uri().path(), request.headers()).map_err(|no| no.problem())?;
        }
    }
    if let Some(logins) = &road.logins {
        match logins.admit(&host, &place, reader, &mut request)? {
            Admission::Entered => {}
            Admission::Answer(answer) => return Ok(answer),
        }
    }
    match &place {
        Place::Api if road.api.is_for_a_person(&host, reader, &request) => {
            Ok(road.page.answer(&host, request.uri().query()).await)
        }
        Place::Api => match road.page.asset(&request) {
            Some(asset) if road.api.accepts_host(&host) => Ok(asset),
            _ => road.api.answer(&host, reader, request).await,
        },
        Place::Target(target) => {
            let visit = Visit {
                target,
                host: &host,
                reader,
                request,
            };
            road.ways.visit(visit).await
        }
    }
}

/// The Host that a request names, exactly one and written as one; where its target is a whole address, the two agree.
fn host(request: &Request) -> Result<String, Problem> {
    let mut named = request.headers().get_all(header::HOST).iter();
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let host = match (named.next(), authority) {
        (Some(host), Some(authority))
            if !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) =>
        {
            None
        }
        (Some(host), _) => host.to_str().ok(),
        (None, Some(authority)) => Some(authority),
        (None, None) => (*request.method() != Method::CONNECT).then_some(""),
    };
    match (host, named.next()) {
        (Some(host), None) if host.bytes().all(is_of_host) => Ok(host.to_owned()),
        _ => {
            let status = Status::bad_request("a request names one Host");
            Err(Problem::new(status, "Whom is this for?"))
        }
    }
}

/// Whether Go's server takes a byte as one of a Host (`ValidHostHeader` of golang.org/x/net).
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(&byte)
}

impl Door {
    fn place(&self, host: &str) -> Result<Place, Problem> {
        match self {
            Self::Everything => Place::of(host).map_err(NoPlace::problem),
            Self::One(target) if is_loopback(host) => Ok(Place::Target(Target::clone(target))),
            Self::One(_) => {
                let status = Status::forbidden("this port is for loopback names alone");
                Err(Problem::new(status, "Refused"))
            }
        }
    }
}

/// Whether a Host can't have been made to resolve to this machine by somebody else.
fn is_loopback(host: &str) -> bool {
    let name = without_port(host).to_ascii_lowercase();
    let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|ip| ip.is_loopback())
}

impl NoPlace {
    fn problem(self) -> Problem {
        let status = Status::not_found(self.to_string());
        Problem::new(status, "No target has this name").advise(Advice::Sentence(
            "A Service grafana in the namespace monitoring is at grafana.monitoring.svc.localhost; \
             the start page, at localhost, lists what there is."
                .to_owned(),
        ))
    }
}

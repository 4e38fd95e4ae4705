//! The companion's road: one request from its Host to its answer.

use std::sync::Arc;

use http::{Version, header};

use super::api::Api;
use super::guard::{self, Linked};
use super::login::{self, Admission, Logins};
use super::page::StartPage;
use super::place::{NoPlace, Place, Target};
use super::problem::{Advice, Problem, Reader};
use super::way::{Visit, Ways};
use crate::config::CrossSite;
use crate::host::is_loopback;
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
        guard::check(&request, &host, linked(&place, &request)).map_err(|no| no.problem())?;
        if place == Place::Api {
            guard::vouch(&mut request);
        }
    }
    match &road.logins {
        Some(logins) => match logins.admit(&host, &place, reader, &mut request)? {
            Admission::Entered => {}
            Admission::Answer(answer) => return Ok(answer),
        },
        // Cookies know no ports, so another companion's with a login may be among them.
        None => login::without_cookie(request.headers_mut()),
    }
    match &place {
        Place::Api if road.api.is_for_a_person(&host, reader, &request) => {
            Ok(start_page(road, &host, request.uri().query()).await)
        }
        Place::Api => {
            if road.api.accepts_host(&host)
                && let Some(asset) = road.page.asset(&request)
            {
                return Ok(asset);
            }
            road.api.answer(&host, reader, request).await
        }
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

/// What pages of other origins may link to. At the API's origin that is what has no page of anybody else's: a target's page
/// below `/proxy` there could do all that the user can.
fn linked(place: &Place, request: &Request) -> Linked {
    let path = request.uri().path();
    let is_own_page = path == "/" || path.starts_with("/.throughway/");
    match place {
        Place::Api if !is_own_page => Linked::Nothing,
        Place::Api | Place::Target(_) => Linked::Page,
    }
}

/// The start page. Which way there is, is looked up meanwhile, as rights depend on it; the page waits only as long as it likes.
async fn start_page(road: &Road, host: &str, query: Option<&str>) -> Response {
    let looking = async {
        // The page says by itself what it does not know.
        let _ = road.ways.look().await;
        std::future::pending().await
    };
    tokio::select! {
        page = road.page.answer(host, query) => page,
        page = looking => page,
    }
}

/// The Host that a request names, exactly one and written as one. A target that is a whole address goes before it (RFC 9112
/// section 3.2.2).
fn host(request: &Request) -> Result<String, Problem> {
    let mut named = request.headers().get_all(header::HOST).iter();
    // What is no text has a byte that no host has.
    let first = named.next().map(|host| host.to_str().unwrap_or("?"));
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    match (authority.or(first), named.next()) {
        (Some(host), None) if host.bytes().all(is_of_host) => Ok(host.to_owned()),
        // HTTP/1.0 knows no Host.
        (None, None) if request.version() == Version::HTTP_10 => Ok(String::new()),
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

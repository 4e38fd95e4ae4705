//! The companion's road: one request from its Host to its answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::{StatusCode, Version, header};

use super::inbound::client_kind::ClientKind;
use super::inbound::guard::{self, Linked};
use super::inbound::host_route::{NoPlace, Place, Target};
use super::inbound::inert;
use super::inbound::listen::Peer;
use super::inbound::login::{self, Admission, Logins};
use super::kubectl::api::{self, Api};
use super::pages;
use super::problem::{Advice, Problem};
use super::start_page::StartPage;
use super::targets::{Visit, Ways, access};
use crate::local::config::LocalTargets;
use crate::protocol::fetch_metadata::CrossSitePolicy;
use crate::protocol::host::is_loopback;
use crate::protocol::status::{Reason, Request, Response, Status};

/// Every stage that a request passes.
#[derive(Debug)]
pub(super) struct Road {
    pub(super) api: Api,
    pub(super) ways: Ways,
    pub(super) targets: LocalTargets,
    pub(super) page: StartPage,
    pub(super) logins: Option<Logins>,
    pub(super) cross_site: CrossSitePolicy,
}

/// What a listener serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Door {
    /// The API, and every target by its Host.
    Everything,
    /// `--forward`: one target, by its own name, `localhost`, and the addresses of loopback.
    One(Arc<Target>),
}

/// Answers one request.
pub(super) async fn answer(road: &Road, door: &Door, peer: Peer, request: Request) -> Response {
    let client = ClientKind::of(request.method(), request.headers());
    contained(travel(road, door, peer, client, request))
        .await
        .unwrap_or_else(|problem| pages::problem::respond(problem, client))
}

/// A defect that panics costs the one request that meets it. No async function: the future would be in memory twice.
fn contained(
    travel: impl Future<Output = Result<Response, Problem>>,
) -> impl Future<Output = Result<Response, Problem>> {
    // Nothing of a request is looked at after its panic, and what requests share is kept in no half-made state.
    AssertUnwindSafe(travel).catch_unwind().map(|met| {
        met.unwrap_or_else(|_| {
            tracing::error!("a request met a defect of this program");
            let status = Status::internal("throughway local met a defect of its own");
            Err(Problem::new(status, "That should not happen"))
        })
    })
}

async fn travel(
    road: &Road,
    door: &Door,
    peer: Peer,
    client: ClientKind,
    mut request: Request,
) -> Result<Response, Problem> {
    let host = host(&request)?;
    let place = door.place(&host, &road.api)?;
    let is_kubectls = place == Place::Api && road.cross_site == CrossSitePolicy::Allow;
    let mut led_away = None;
    if !is_kubectls {
        if place == Place::Api {
            let path = road.api.path_in_api(request.uri().path());
            led_away = path.and_then(|path| inert::led_away(&host, path, &request));
        }
        let linked = match led_away {
            Some(_) => Linked::Page,
            None => linked(&place, &request),
        };
        guard::check(&request, &host, linked).map_err(|no| no.problem())?;
        if place == Place::Api {
            guard::vouch(&mut request);
        }
    }
    match &place {
        Place::Api if !road.api.accepts_host(&host) => return api::refuse(&host, client),
        Place::Api => {}
        Place::Target(_) => access::check_peer(&road.targets, peer)?,
    }
    match &road.logins {
        Some(logins) => match logins.admit(&host, &place, client, &mut request)? {
            Admission::Entered => {}
            Admission::Answer(answer) => return Ok(answer),
        },
        // Cookies know no ports, so another companion's with a login may be among them.
        None => login::without_cookie(request.headers_mut()),
    }
    match &place {
        Place::Api => match led_away {
            Some(answer) => answer,
            None => of_api(road, &host, client, request).await,
        },
        Place::Target(target) => {
            access::check(&road.targets, target, &request)?;
            let visit = Visit {
                target,
                host: &host,
                client,
                request,
            };
            road.ways.visit(visit).await
        }
    }
}

async fn of_api(
    road: &Road,
    host: &str,
    client: ClientKind,
    request: Request,
) -> Result<Response, Problem> {
    if road.api.is_for_a_person(host, client, &request) {
        // Boxed, as it is rare and would make every request's state as large.
        return Ok(Box::pin(start_page(road, host, request.uri().query())).await);
    }
    match road.page.asset(&request) {
        Some(asset) => Ok(asset),
        None => road.api.answer(host, client, request).await,
    }
}

/// What pages of other origins may link to. At the API's origin that is what has no page of anybody else's.
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
        page = road.page.respond(host, query) => page,
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
    fn place(&self, host: &str, api: &Api) -> Result<Place, Problem> {
        let target = match self {
            Self::Everything => {
                return match Place::of(host) {
                    // A rule may be about names that no target can have.
                    Err(NoPlace) if api.accepts_host(host) => Ok(Place::Api),
                    place => place.map_err(NoPlace::problem),
                };
            }
            Self::One(target) => target,
        };
        // Cookies know no ports: a browser would send this target what it keeps for another one's name.
        let is_its_own = match Place::of(host) {
            Ok(Place::Api) => is_loopback(host),
            Ok(Place::Target(named)) => named == **target,
            Err(NoPlace) => false,
        };
        if is_its_own {
            return Ok(Place::Target(Target::clone(target)));
        }
        let sentence =
            "this port is one target's; it has that target's name, localhost, and 127.0.0.1";
        let status = Status::new(StatusCode::MISDIRECTED_REQUEST, Reason::Unknown, sentence);
        Err(Problem::new(status, "Refused"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_end_of_its_own_request_alone() {
        let met = contained(async { panic!("a defect") }).await;
        assert_eq!(
            met.unwrap_err().status.code,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        let fine = contained(async { Ok(Response::default()) }).await;
        assert_eq!(fine.unwrap().status(), StatusCode::OK);
    }
}

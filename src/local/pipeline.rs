//! One request, from its Host to its response.
//!
//! In order: where the Host leads (`inbound::host_route`), whether the browser may send it (`inbound::guard`),
//! kubectl's rule about hosts or the caller's machine, the login of `--login`, then the API (`kubectl`), the start
//! page, or a target (`targets`).
//!
//! Refuses: what a stage refuses, as a [`Problem`], which becomes a page for a person and a Status for a program.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::{StatusCode, Version, header};

use super::inbound::client_kind::ClientKind;
use super::inbound::guard::{self, LinkPolicy};
use super::inbound::host_route::{HostRoute, Target, UnknownHost};
use super::inbound::inert;
use super::inbound::listen::PeerLocation;
use super::inbound::login::{self, BrowserLogins, LoginCheck};
use super::kubectl::api::{self, Api};
use super::pages;
use super::problem::{Advice, Problem};
use super::start_page::StartPage;
use super::targets::access;
use super::targets::proxy::TargetProxy;
use super::targets::request::TargetRequest;
use crate::local::config::LocalTargets;
use crate::protocol::fetch_metadata::CrossSitePolicy;
use crate::protocol::host::is_loopback;
use crate::protocol::status::{Reason, Request, Response, Status};

/// The stages that a request passes, made at the start.
#[derive(Debug)]
pub(super) struct LocalPipeline {
    pub(super) api: Api,
    pub(super) target_proxy: TargetProxy,
    pub(super) targets: LocalTargets,
    pub(super) start_page: StartPage,
    pub(super) logins: Option<BrowserLogins>,
    pub(super) cross_site: CrossSitePolicy,
}

/// What a listener serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListenerScope {
    /// The API, and every target by its Host.
    All,
    /// `--forward`: one target, by its own name, `localhost`, and the addresses of loopback.
    Target(Arc<Target>),
}

/// Responds to one request.
pub(super) async fn respond(
    pipeline: &LocalPipeline,
    scope: &ListenerScope,
    peer: PeerLocation,
    request: Request,
) -> Response {
    let client = ClientKind::of(request.method(), request.headers());
    let response = catch_panic(handle(pipeline, scope, peer, client, request)).await;
    response.unwrap_or_else(|problem| pages::problem::respond(problem, client))
}

/// A panic costs only the request that meets it. This is no async function: the future would be in memory twice.
fn catch_panic(
    handling: impl Future<Output = Result<Response, Problem>>,
) -> impl Future<Output = Result<Response, Problem>> {
    // Nothing of a request is looked at after its panic, and what requests share is never left half changed.
    AssertUnwindSafe(handling).catch_unwind().map(|result| {
        result.unwrap_or_else(|_| {
            tracing::error!("a request met an internal error");
            let status = Status::internal("internal error of throughway local");
            Err(Problem::new(status, "That should not happen"))
        })
    })
}

async fn handle(
    pipeline: &LocalPipeline,
    scope: &ListenerScope,
    peer: PeerLocation,
    client: ClientKind,
    mut request: Request,
) -> Result<Response, Problem> {
    // One Host, read once: every stage below decides by the same name.
    let host = host(&request)?;
    let route = scope.route(&host, &pipeline.api)?;
    let documents = check_origin(pipeline, &route, &host, &mut request)?;
    match &route {
        // kubectl answers it as a plain 403 in its own words.
        HostRoute::Api if !pipeline.api.accepts_host(&host) => return api::refuse(&host, client),
        HostRoute::Api => {}
        // For targets the machine counts and not the name: their names lead to loopback everywhere.
        HostRoute::Target(_) => access::check_peer(&pipeline.targets, peer)?,
    }
    match &pipeline.logins {
        Some(logins) => match logins.check(&host, &route, client, &mut request)? {
            LoginCheck::LoggedIn => {}
            LoginCheck::Respond(response) => return Ok(response),
        },
        // Cookies know no ports, so the login cookie of another companion may be among them.
        None => login::remove_cookie(request.headers_mut()),
    }
    match &route {
        // Not before the login: where a target is served is told only to browsers that are logged in.
        HostRoute::Api => match documents {
            Some(redirect) => redirect,
            None => respond_from_api_host(pipeline, &host, client, request).await,
        },
        HostRoute::Target(target) => {
            // After the login: whether a target may be asked is nothing for strangers.
            access::check(&pipeline.targets, target, &request)?;
            let request = TargetRequest {
                target,
                host: &host,
                client,
                request,
            };
            pipeline.target_proxy.send(request).await
        }
    }
}

/// Refuses what a page of another origin may not send. Returns what the request gets if it would show a target's page
/// at the API's origin; `--cross-site=allow` gives up both, as kubectl proxy has neither.
fn check_origin(
    pipeline: &LocalPipeline,
    route: &HostRoute,
    host: &str,
    request: &mut Request,
) -> Result<Option<Result<Response, Problem>>, Problem> {
    if *route != HostRoute::Api {
        guard::check(request, host, LinkPolicy::Pages).map_err(|refusal| refusal.problem())?;
        return Ok(None);
    }
    if pipeline.cross_site == CrossSitePolicy::Allow {
        return Ok(None);
    }
    let api = &pipeline.api;
    let path = api.path_in_api(request.uri().path());
    let group = pipeline.target_proxy.detector().api_group();
    // Found out before the guard, which lets links to such pages pass.
    let documents = path.and_then(|path| inert::redirect_documents(host, path, group, request));
    let links = match documents {
        Some(_) => LinkPolicy::Pages,
        None => links_at_api_host(request),
    };
    // The guard stands before the redirect is handed out: a frame of another site gets neither.
    guard::check(request, host, links).map_err(|refusal| refusal.problem())?;
    // After the guard has compared `Origin` with the Host, which nobody behind kube-apiserver can do.
    guard::vouch(request);
    Ok(documents)
}

/// What pages of other origins may link to at the API's origin: the companion's own pages, which are nobody else's.
fn links_at_api_host(request: &Request) -> LinkPolicy {
    let path = request.uri().path();
    if path == "/" || path.starts_with("/.throughway/") {
        LinkPolicy::Pages
    } else {
        LinkPolicy::Nothing
    }
}

async fn respond_from_api_host(
    pipeline: &LocalPipeline,
    host: &str,
    client: ClientKind,
    request: Request,
) -> Result<Response, Problem> {
    if pipeline.api.is_start_page(host, client, &request) {
        // Boxed, as it is rare and would make every request's state as large.
        return Ok(Box::pin(start_page(pipeline, host, request.uri().query())).await);
    }
    match pipeline.start_page.asset(&request) {
        Some(asset) => Ok(asset),
        None => pipeline.api.respond(host, client, request).await,
    }
}

/// The start page. The proxy of the cluster is detected meanwhile, as rights depend on it; the page decides how long it
/// waits.
async fn start_page(pipeline: &LocalPipeline, host: &str, query: Option<&str>) -> Response {
    let detection = async {
        // The page says by itself what it does not know.
        let _ = pipeline.target_proxy.detector().detect().await;
        std::future::pending().await
    };
    // The detection never ends by itself: the page is the response, and the other side only moves on beside it.
    tokio::select! {
        page = pipeline.start_page.respond(host, query) => page,
        page = detection => page,
    }
}

/// The Host that a request names, exactly one and written as one. A target that is a whole address goes before it (RFC
/// 9112 section 3.2.2).
fn host(request: &Request) -> Result<String, Problem> {
    let mut named = request.headers().get_all(header::HOST).iter();
    // What is not text has a byte that no host has.
    let first = named.next().map(|host| host.to_str().unwrap_or("?"));
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    // The authority of an absolute target counts before `Host`; two Hosts are refused in any case.
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

impl ListenerScope {
    fn route(&self, host: &str, api: &Api) -> Result<HostRoute, Problem> {
        let target = match self {
            Self::All => {
                return match HostRoute::of(host) {
                    // A rule may be about names that no target can have.
                    Err(UnknownHost) if api.accepts_host(host) => Ok(HostRoute::Api),
                    route => route.map_err(UnknownHost::problem),
                };
            }
            Self::Target(target) => target,
        };
        // Cookies know no ports: a browser would send this target what it keeps for another one's name.
        let is_its_own = match HostRoute::of(host) {
            Ok(HostRoute::Api) => is_loopback(host),
            Ok(HostRoute::Target(named)) => named == **target,
            Err(UnknownHost) => false,
        };
        if is_its_own {
            return Ok(HostRoute::Target(Target::clone(target)));
        }
        let sentence =
            "this port is one target's; it has that target's name, localhost, and 127.0.0.1";
        let status = Status::new(StatusCode::MISDIRECTED_REQUEST, Reason::Unknown, sentence);
        Err(Problem::new(status, "Refused"))
    }
}

impl UnknownHost {
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
        let result = catch_panic(async { panic!("a defect") }).await;
        assert_eq!(
            result.unwrap_err().status.code,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        let response = catch_panic(async { Ok(Response::default()) }).await;
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }
}

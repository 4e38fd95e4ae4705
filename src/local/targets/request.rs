//! A request to a target, as the proxies of the cluster get it. In: what the browser sent. Out: the cluster's response.

use http::{Method, Uri};

use crate::local::inbound::client_kind::ClientKind;
use crate::local::inbound::host_route::Target;
use crate::local::problem::Problem;
use crate::local::upstream::Upstream;
use crate::local::upstream::upgrade::requested_upgrade;
use crate::protocol::status::{Request, Response};

/// A request to a target, and where its browser sees it.
#[derive(Debug)]
pub(in crate::local) struct TargetRequest<'a> {
    pub(in crate::local) target: &'a Target,
    /// The Host that the browser used.
    pub(in crate::local) host: &'a str,
    pub(in crate::local) client: ClientKind,
    pub(in crate::local) request: Request,
}

/// What a response is about: which target was asked, and by whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct TargetContext<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) target: &'a Target,
    /// The Host that the browser used.
    pub(super) host: &'a str,
    pub(super) client: ClientKind,
}

impl<'a> TargetRequest<'a> {
    pub(super) fn context(&self, upstream: &'a Upstream) -> TargetContext<'a> {
        TargetContext {
            upstream,
            target: self.target,
            host: self.host,
            client: self.client,
        }
    }
}

/// Path and query as the browser sent them.
pub(super) fn raw_path(uri: &Uri) -> &str {
    match uri.path_and_query().map(http::uri::PathAndQuery::as_str) {
        // Paths of another form, such as the star of OPTIONS, mean the root here.
        Some(path) if path.starts_with('/') => path,
        _ => "/",
    }
}

/// Sends a request to the API server, on a connection of its own if it asks for an upgrade.
pub(super) async fn send(upstream: &Upstream, mut request: Request) -> Result<Response, Problem> {
    upstream
        .below_server_path(&mut request)
        .map_err(|failed| failed.problem())?;
    let is_upgrade =
        // Only a GET gets a connection of its own, as WebSockets begin with one.
        requested_upgrade(request.headers()).is_some() && *request.method() == Method::GET;
    let response = if is_upgrade {
        upstream.upgrade(request).await
    } else {
        upstream.send(request).await
    };
    response.map_err(|failed| failed.problem())
}

//! The Kubernetes API as kubectl proxy serves it. In: a request to `localhost`. Out: the API server's response.
//!
//! kubectl's rules come first (`filter`), then the prefix goes (`api_path`). The kubeconfig's credentials are used
//! unless the caller brings `Authorization` along, as with kubectl proxy. A person who navigates to `/` gets the start
//! page.
//!
//! kubectl: `NewProxyHandler` of `pkg/proxy/proxy_server.go`; `ServeHTTP` of `pkg/util/proxy/upgradeaware.go`.

use http::{HeaderValue, Method, StatusCode, Uri, header};

use super::api_path::{Exchange, Routed, below_server_path, route};
use super::{files, filter};
use crate::local::config::{Filtering, LocalApi, ServerPath, StaticFiles};
use crate::local::inbound::client_kind::ClientKind;
use crate::local::inbound::inert;
use crate::local::problem::{Advice, Problem};
use crate::local::upstream::Upstream;
use crate::local::upstream::upgrade::requested_upgrade;
use crate::protocol::fetch_metadata::CrossSitePolicy;
use crate::protocol::forwarded_for::{self, X_FORWARDED_FOR};
use crate::protocol::hop_by_hop;
use crate::protocol::status::{Request, Response, Status};

/// Serves the API, and static files beside it.
#[derive(Debug)]
pub(in crate::local) struct Api {
    pub(in crate::local) settings: LocalApi,
    pub(in crate::local) files: Option<StaticFiles>,
    pub(in crate::local) upstream: Upstream,
}

/// Where a request's connection comes from.
#[derive(Debug, Clone)]
pub(in crate::local) struct CallerAddress(pub(in crate::local) HeaderValue);

impl Api {
    /// Whether a browser's user wants to see what there is. The rules have to accept the path of it, too.
    pub(in crate::local) fn is_start_page(
        &self,
        host: &str,
        client: ClientKind,
        request: &Request,
    ) -> bool {
        client == ClientKind::Navigation
            && matches!(*request.method(), Method::GET | Method::HEAD)
            && request.uri().path() == "/"
            // The start page shows what the API would, so who may not ask for `/` does not get it.
            && self.accepts(&Method::GET, "/", host)
    }

    /// Whether kubectl's rules accept a Host.
    pub(in crate::local) fn accepts_host(&self, host: &str) -> bool {
        match &self.settings.filter {
            Filtering::Rules(rules) => filter::accepts_host(rules, host),
            Filtering::Off => true,
        }
    }

    fn accepts(&self, method: &Method, path: &str, host: &str) -> bool {
        match &self.settings.filter {
            Filtering::Rules(rules) => filter::accepts(rules, method, path, host),
            Filtering::Off => true,
        }
    }

    /// A request's path without `--api-prefix`, as the API server gets it.
    pub(in crate::local) fn path_in_api<'p>(&self, path: &'p str) -> Option<&'p str> {
        let prefix = &self.settings.prefix;
        // kubectl leaves such a prefix on the path (`NewServer`).
        if prefix.starts_with("/api") {
            return Some(path);
        }
        path.strip_prefix(prefix.trim_end_matches('/'))
    }

    pub(in crate::local) async fn respond(
        &self,
        host: &str,
        client: ClientKind,
        request: Request,
    ) -> Result<Response, Problem> {
        let (path, decoded) = match route(&self.settings, self.files.as_ref(), &request) {
            Routed::Api { path, decoded } => (path, decoded),
            Routed::Files => {
                let Some(files) = &self.files else {
                    return Ok(filter::forbidden());
                };
                // Boxed, as it is rare and would make every request's state as large.
                return Ok(Box::pin(files::serve(files, &request.map(drop))).await);
            }
            Routed::Redirect(response) | Routed::NotFound(response) => return Ok(response),
        };
        // After the route: kubectl's rules are about the path without the prefix, decoded.
        // Its Host was looked at before.
        if let Filtering::Rules(rules) = &self.settings.filter
            && !filter::accepts_path(rules, request.method(), &decoded)
        {
            return refuse(host, client);
        }
        // kubectl proxy has none of what follows.
        if self.settings.cross_site == CrossSitePolicy::Allow {
            return self.forward(path, request).await;
        }
        // Before it is forwarded: the script of a worker must not even be fetched.
        inert::refuse_worker(request.headers())?;
        let mut response = self.forward(path, request).await?;
        inert::disarm(&mut response);
        Ok(response)
    }

    async fn forward(&self, path: String, mut request: Request) -> Result<Response, Problem> {
        // Read before the headers of the connection go.
        let upgrade = requested_upgrade(request.headers());
        let exchange = match upgrade {
            Some(_) => Exchange::Upgrade,
            None => Exchange::Plain,
        };
        let path = match self.settings.server_path {
            ServerPath::Appended => {
                below_server_path(self.upstream.api().url().path(), &path, exchange)
            }
            ServerPath::Ignored => path,
        };
        *request.uri_mut() = Uri::try_from(path).map_err(|_| {
            let status = Status::bad_request("the path has bytes that no path has");
            Problem::new(status, "No such path")
        })?;
        let caller = request.extensions_mut().remove::<CallerAddress>();
        let headers = request.headers_mut();
        // `TE` goes with the rest of the connection's, and gRPC needs this word of it.
        let trailers = hop_by_hop::accepts_trailers(headers);
        hop_by_hop::remove(headers);
        // The API server is asked by its own name, as kubectl does.
        headers.remove(header::HOST);
        if trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        if let Some(CallerAddress(address)) = caller {
            let list = forwarded_for::with(headers, &address);
            headers.insert(X_FORWARDED_FOR, list);
        }
        let response = match exchange {
            Exchange::Plain => self.upstream.send(request).await,
            Exchange::Upgrade => {
                headers.extend(upgrade.map(|upgrade| (header::UPGRADE, upgrade)));
                self.upstream.upgrade(request).await
            }
        };
        let response = response.map_err(|failed| failed.problem())?;
        // As `tryUpgrade` of apimachinery: anything between a switch and an error would be neither.
        match (exchange, response.status()) {
            (Exchange::Upgrade, status)
                if status != StatusCode::SWITCHING_PROTOCOLS && status.as_u16() < 400 =>
            {
                let sentence = format!("invalid upgrade response: status code {}", status.as_u16());
                Err(Problem::new(Status::internal(sentence), "No upgrade"))
            }
            _ => Ok(response),
        }
    }
}

/// What a request gets that the rules don't accept.
pub(in crate::local) fn refuse(host: &str, client: ClientKind) -> Result<Response, Problem> {
    match client {
        ClientKind::Navigation => Err(refused(host)),
        ClientKind::Program => Ok(filter::forbidden()),
    }
}

fn refused(host: &str) -> Problem {
    let status = Status::forbidden(format!("{host} and this path are not both accepted"));
    Problem::new(status, "Refused by the rules of this server").advise(Advice::Sentence(
        "--accept-hosts, --accept-paths, --reject-paths and --reject-methods say what is accepted."
            .to_owned(),
    ))
}

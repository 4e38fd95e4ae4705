//! Requests on to the API server. In: a request with its path at the API server. Out: the answer as it comes.
//!
//! Exchanges share HTTP/2 connections, or take turns on kept HTTP/1 ones where the API server speaks no other; an upgrade has a
//! connection of its own, HTTP/1.1, as kubectl proxy's (`makeUpgradeTransport` of `pkg/proxy/proxy_server.go`). Each request
//! gets the kubeconfig's credentials at the last moment.
//!
//! Refuses: what keeps it from an answer, as an [`UpstreamError`].

mod cluster;
mod exchange;
mod pool;
mod up;
mod upgrade;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::api_server::{ApiServer, ConnectError, CredentialError};
use super::problem::{Advice, Problem};
use crate::lifecycle::Tasks;
use crate::protocol::status::{Request, Response, Status};
use pool::Pool;

pub(super) use exchange::repeatable;
pub(super) use upgrade::asked as asked_upgrade;

/// Sends requests to the API server. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    api: ApiServer,
    pool: Arc<Pool>,
    tasks: Tasks,
    /// `--request-timeout`: until the head of an answer; zero is no limit.
    head_limit: Duration,
}

/// Why the API server gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the connection to the API server broke off: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the API server gave no answer within --request-timeout, {0:?}")]
    Late(Duration),
    #[error("the request's path can't be sent on")]
    Path,
    #[error("the request's body broke off")]
    CallerGone,
}

impl Upstream {
    pub(super) fn new(api: ApiServer, head_limit: Duration, tasks: Tasks) -> Self {
        let pool = Arc::new(Pool::default());
        Self {
            api,
            pool,
            tasks,
            head_limit,
        }
    }

    pub(super) fn api(&self) -> &ApiServer {
        &self.api
    }

    /// Puts the path of the server's address before a request's: `/k8s/clusters/c-abc` where a gateway serves many clusters.
    pub(super) fn below_server_path(&self, request: &mut Request) -> Result<(), UpstreamError> {
        let before = self.api.url().path().trim_end_matches('/');
        if before.is_empty() {
            return Ok(());
        }
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let path = format!("{before}{path}");
        *request.uri_mut() = Uri::try_from(path).map_err(|_| UpstreamError::Path)?;
        Ok(())
    }

    /// Waits for the head of an answer, no longer than `--request-timeout`.
    async fn within_limit<T>(
        &self,
        answer: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        if self.head_limit.is_zero() {
            return answer.await;
        }
        match tokio::time::timeout(self.head_limit, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(UpstreamError::Late(self.head_limit)),
        }
    }

    /// Takes note of an answer that says something about our credentials.
    fn judge<B>(&self, answer: &http::Response<B>) {
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.api.rejected();
        }
    }

    /// Gives a request its credentials, and the API server's name unless it has one for the target. Says which name it has.
    async fn introduce(&self, request: &mut Request) -> Result<Authority, UpstreamError> {
        let headers = request.headers_mut();
        let authority = match (headers.get(header::HOST), self.api.url().authority()) {
            (Some(host), _) => {
                Authority::try_from(host.as_bytes()).map_err(|_| UpstreamError::Path)?
            }
            (None, Some(own)) => own.clone(),
            (None, None) => return Err(UpstreamError::Path),
        };
        name_host(headers, &authority);
        self.api.authorize(headers).await?;
        Ok(authority)
    }
}

impl UpstreamError {
    pub(super) fn problem(&self) -> Problem {
        let title = "The cluster gives no answer";
        match self {
            Self::Credential(failed) => failed.problem(),
            Self::Connect(failed) => failed.problem(),
            Self::Broken(_) => Problem::new(Status::bad_gateway(self.to_string()), title).advise(
                Advice::Sentence("Try again; the next request makes a new connection.".to_owned()),
            ),
            Self::Late(_) => Problem::new(Status::gateway_timeout(self.to_string()), title),
            Self::Path => Problem::new(Status::bad_request(self.to_string()), "No such path"),
            Self::CallerGone => Problem::new(
                Status::bad_request(self.to_string()),
                "The request is not whole",
            ),
        }
    }
}

/// An answer's body, however it came. 204 and 304 have none, whatever length they name: HTTP/2 may still end them with a piece
/// of no bytes, which then is taken for a body that is too short.
fn down<B>(answer: http::Response<B>) -> Response
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match answer.status() {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => answer.map(|_| Body::empty()),
        _ => answer.map(Body::new),
    }
}

fn name_host(headers: &mut HeaderMap, authority: &Authority) {
    let host = HeaderValue::from_str(authority.as_str()).expect("an authority is header text");
    headers.insert(header::HOST, host);
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's connections are not for tests"
)]
mod tests;

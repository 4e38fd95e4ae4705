//! The upstream: what exchanges and upgrades have in common. In: a request. Out: the same with credentials, and
//! time-outs.

use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use http::{StatusCode, Uri, header};

use super::error::UpstreamError;
use super::pool::UpstreamPool;
use super::response::set_host;
use crate::lifecycle::Tasks;
use crate::local::api_server::ApiServer;
use crate::protocol::status::Request;

/// Sends requests to the API server. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::local) struct Upstream {
    pub(super) api: ApiServer,
    pub(super) pool: Arc<UpstreamPool>,
    pub(super) tasks: Tasks,
    /// `--request-timeout`: until the head of a response; zero is no limit.
    pub(super) head_timeout: Duration,
}

impl Upstream {
    pub(in crate::local) fn new(api: ApiServer, head_timeout: Duration, tasks: Tasks) -> Self {
        let pool = Arc::new(UpstreamPool::default());
        Self {
            api,
            pool,
            tasks,
            head_timeout,
        }
    }

    pub(in crate::local) fn api(&self) -> &ApiServer {
        &self.api
    }

    /// Puts the path of the server's address before a request's: `/k8s/clusters/c-abc` where a gateway serves many
    /// clusters.
    pub(in crate::local) fn below_server_path(
        &self,
        request: &mut Request,
    ) -> Result<(), UpstreamError> {
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

    /// Waits for the head of a response, no longer than `--request-timeout`.
    pub(super) async fn within_timeout<T>(
        &self,
        response: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        if self.head_timeout.is_zero() {
            return response.await;
        }
        match tokio::time::timeout(self.head_timeout, response).await {
            Ok(response) => response,
            Err(_) => Err(UpstreamError::Timeout(self.head_timeout)),
        }
    }

    /// Takes note of a response that says something about our credentials.
    pub(super) fn note_status<B>(&self, response: &http::Response<B>) {
        // Only a 401 of the API server is about the credentials. The next request asks the plugin or the file for new
        // ones.
        if response.status() == StatusCode::UNAUTHORIZED {
            self.api.rejected();
        }
    }

    /// Gives a request its credentials, and the API server's name as `Host` unless it has one for the target. Returns
    /// the name.
    pub(super) async fn authorize(
        &self,
        request: &mut Request,
    ) -> Result<Authority, UpstreamError> {
        let headers = request.headers_mut();
        let authority = match (headers.get(header::HOST), self.api.url().authority()) {
            // A target at its own origin is asked by its own name.
            (Some(host), _) => {
                Authority::try_from(host.as_bytes()).map_err(|_| UpstreamError::Path)?
            }
            (None, Some(own)) => own.clone(),
            (None, None) => return Err(UpstreamError::Path),
        };
        set_host(headers, &authority);
        // At the last moment, so that a token that was renewed meanwhile is the one that goes.
        self.api.authorize(headers).await?;
        Ok(authority)
    }
}

//! A `kube::Client` over these connections and credentials, for lists, watches and reviews.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Method, header};
use tower::service_fn;

use super::client::Upstream;
use super::error::UpstreamError;
use crate::local::config::Filtering;
use crate::local::kubectl::filter;
use crate::protocol::USER_AGENT;
use crate::protocol::status::{Response, Status};

impl Upstream {
    /// Asks the cluster for this program.
    pub(in crate::local) fn kube_client(&self) -> kube::Client {
        self.kube_client_within(Filtering::Off)
    }

    /// The same for somebody, who learns no more by it than by asking for it: the start page.
    pub(in crate::local) fn kube_client_within(&self, rules: Filtering) -> kube::Client {
        let (upstream, rules) = (self.clone(), Arc::new(rules));
        let namespace = self.api.default_namespace().to_owned();
        let service = service_fn(move |request: http::Request<kube::client::Body>| {
            let (upstream, rules) = (upstream.clone(), Arc::clone(&rules));
            async move {
                let request = request.map(Body::new);
                upstream.request_for_kube(&rules, request).await
            }
        });
        kube::Client::new(service, namespace)
    }

    /// An error stays an [`UpstreamError`], which `kube` passes on as the error of its service.
    async fn request_for_kube(
        &self,
        rules: &Filtering,
        mut request: http::Request<Body>,
    ) -> Result<Response, UpstreamError> {
        // Reviews change nothing, and what they say of the user's rights is needed to ask for anything.
        if let Filtering::Rules(rules) = rules
            // Reading is what the rules bound; a review is a POST that changes nothing.
            && *request.method() == Method::GET
            && !filter::accepts_path(rules, request.method(), request.uri().path())
        {
            let status = Status::forbidden("the rules of this server do not accept it");
            return Ok(status.into_response());
        }
        let headers = request.headers_mut();
        // kube names a host where it was given none.
        headers.remove(header::HOST);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        // After the rules, which are about the path in the API.
        self.below_server_path(&mut request)?;
        self.send(request).await
    }
}

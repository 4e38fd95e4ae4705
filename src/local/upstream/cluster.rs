//! A `kube::Client` over these connections and credentials, for lists, watches and reviews.

use std::convert::Infallible;

use axum::body::Body;
use http::{HeaderValue, StatusCode, header};
use tower::service_fn;

use super::Upstream;
use crate::config::USER_AGENT;
use crate::status::Response;

impl Upstream {
    /// What the start page asks the cluster with.
    pub(in crate::local) fn client(&self) -> kube::Client {
        let upstream = self.clone();
        let namespace = self.api.default_namespace().to_owned();
        let service = service_fn(move |request: http::Request<kube::client::Body>| {
            let upstream = upstream.clone();
            async move { Ok::<_, Infallible>(upstream.ask_cluster(request.map(Body::new)).await) }
        });
        kube::Client::new(service, namespace)
    }

    async fn ask_cluster(&self, mut request: http::Request<Body>) -> Response {
        let headers = request.headers_mut();
        // kube names the host that it was given none of.
        headers.remove(header::HOST);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        match self.send(request).await {
            Ok(answer) => answer,
            Err(failed) => {
                let mut status = failed.problem().status;
                status.code = StatusCode::SERVICE_UNAVAILABLE;
                status.into_response()
            }
        }
    }
}

//! The request as the backend gets it. In: the request as it came. Out: one with the path inside the target, and other
//! headers.
//!
//! What is changed in headers is all in [`super::headers`]; an upgrade names its protocol again, as a proxy has to (RFC
//! 9110 section 7.8).

use std::sync::Arc;

use http::{HeaderValue, Request, Uri, Version, header};

use super::transport::expect_continue;
use super::transport::request_body::RequestBody;
use super::tunnel::Protocol;
use super::{Forward, ForwardContext, ForwardError, headers};
use crate::protocol::status;
use crate::serve::app_login::AppLogin;
use crate::serve::cluster::Prefix;
use crate::serve::destination::Scheme;
use crate::serve::endpoint::Endpoint;

impl Forward {
    /// The request of an exchange, whatever connection it goes over, and the login that goes along.
    pub(super) fn outgoing_request(
        &self,
        context: ForwardContext<'_>,
        endpoint: &Endpoint,
        request: Box<status::Request>,
    ) -> Result<(Request<RequestBody>, AppLogin), ForwardError> {
        let (mut parts, body) = request.into_parts();
        // Read before the headers are changed: the login is in a cookie that the backend does not get.
        let (of_caller, login) =
            self.logins
                .authorization(context.permit, context.client, &parts.headers);
        let authorization = match endpoint.scheme {
            // A kubelet never gets a caller's login, and no other backend ever gets the kubelets' token; the scheme was
            // decided with the address.
            Scheme::Kubelet => Some(self.connector.kubelet.authorization()?),
            Scheme::Http | Scheme::Https => of_caller,
        };
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        parts.headers =
            headers::to_backend(context, endpoint, authority, parts.headers, authorization);
        parts.uri = uri_inside(context, endpoint)?;
        // Names are spelled as HTTP/1 has it until the connection is known; `as_http2` turns the request when it goes
        // over one of those.
        parts.version = Version::HTTP_11;
        let mut request = Request::from_parts(parts, body);
        // After the headers are final: what is asked is whether the backend will see an `Expect`.
        let gate = expect_continue::gate(&mut request);
        let request_context = Arc::clone(context.request_context);
        let request = request
            .map(|body| RequestBody::new(body, request_context, gate, headers::is_request_trailer));
        Ok((request, login))
    }

    /// The request for an upgrade to this protocol, and the login that goes along.
    pub(super) fn upgrade_request(
        &self,
        context: ForwardContext<'_>,
        endpoint: &Endpoint,
        request: Box<status::Request>,
        protocol: Protocol,
    ) -> Result<(Request<RequestBody>, AppLogin), ForwardError> {
        let (mut parts, body) = request.into_parts();
        // No question for a kubelet here: upgrades to one were refused before.
        let (authorization, login) =
            self.logins
                .authorization(context.permit, context.client, &parts.headers);
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        parts.headers =
            headers::to_backend(context, endpoint, authority, parts.headers, authorization);
        // The caller's own was removed with all that belongs to its connection, so the upgrade is asked for again in
        // our name.
        let upgrade = HeaderValue::from_static("Upgrade");
        parts.headers.insert(header::CONNECTION, upgrade);
        // Only the one protocol that is to be tunnelled, so that the backend can't agree to another of the caller's
        // list.
        let protocol = HeaderValue::from_static(protocol.as_str());
        parts.headers.insert(header::UPGRADE, protocol);
        parts.uri = uri_inside(context, endpoint)?;
        let request_context = Arc::clone(context.request_context);
        let body = RequestBody::new(body, request_context, None, headers::is_request_trailer);
        Ok((Request::from_parts(parts, body), login))
    }
}

/// Path and query as they were sent: those inside the target, or the whole for an app that knows its prefix. At an
/// origin of its own there is none to know.
fn uri_inside(context: ForwardContext<'_>, endpoint: &Endpoint) -> Result<Uri, ForwardError> {
    let asked = context.permit.info();
    let is_whole =
        endpoint.settings.prefix == Prefix::Keep && context.client.target_origin.is_none();
    let path = match asked.path_inside() {
        // An app that is told to keep its prefix knows the whole path; at an origin of its own the browser has never
        // seen one.
        _ if is_whole => asked.uri().path(),
        // A request line needs a path, and `/proxy` without a slash at the end has none inside.
        "" => "/",
        path => path,
    };
    let text = match asked.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    Uri::try_from(text).map_err(|_| ForwardError::Unsendable)
}

//! What one response is the response to, and what follows from that for the URLs in it.

use super::cookies;
use crate::serve::app_login::AppLogin;
use crate::serve::authorization::Permit;
use crate::serve::client::ClientInfo;
use crate::serve::destination::Scheme;
use crate::serve::endpoint::Endpoint;
use crate::serve::html::links::{BackendNames, BackendScheme, LinkForm, Links};

/// What one response is the response to.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResponseContext<'a> {
    pub(super) client: &'a ClientInfo,
    /// The login at the app that went along with the request.
    pub(super) login: &'a AppLogin,
    /// For this request of a chain of redirects.
    pub(super) permit: &'a Permit,
    /// Who gave the response.
    pub(super) endpoint: &'a Endpoint,
}

impl<'a> ResponseContext<'a> {
    /// What maps the URLs of this response, relative to where it was asked for.
    pub(super) fn links(self) -> Links {
        let (info, external) = (self.permit.info(), &self.client.external);
        let host = external.origin.as_ref().map(|origin| origin.host.as_str());
        let backend = self.backend();
        Links::new(
            info.prefix(),
            info.path_inside(),
            backend,
            LinkForm::Relative,
        )
        .with_external(host, external.prefix.as_deref())
    }

    /// Who the backend is in the URLs that it writes.
    pub(super) fn backend(self) -> BackendNames {
        BackendNames {
            scheme: match self.endpoint.scheme {
                Scheme::Http => BackendScheme::Http,
                Scheme::Https | Scheme::Kubelet => BackendScheme::Https,
            },
            host: self.endpoint.host.clone(),
            address: *self.endpoint.address,
        }
    }

    /// The target's path here and at the browser.
    pub(super) fn paths(self) -> cookies::TargetPaths<'a> {
        cookies::TargetPaths {
            arrived: self.permit.info().prefix(),
            external: self.client.prefix(self.permit),
        }
    }
}

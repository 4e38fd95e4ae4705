//! What a request leads to, and who is behind it.

use std::fmt::Write;
use std::sync::Arc;

use http::HeaderValue;

use super::address_policy::DialableAddr;
use super::error::DestinationError;
use super::scheme::Scheme;
use crate::serve::authorization::Permit;
use crate::serve::cluster::{EndpointSlice, ServiceSettings};

/// Where one permitted request goes, with the permit that it was found for.
///
/// Only this stage makes one, and what comes of it borrows the same permit: the endpoints that are chosen, and the
/// response of the one that was sent to. So no permit can meet the endpoint of another request.
///
/// ```compile_fail,E0451
/// # use throughway::serve::{authorization::Permit, destination::Destination};
/// fn elsewhere<'p>(other: &'p Permit, found: Destination<'p>) -> Destination<'p> {
///     Destination { permit: other, ..found }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Destination<'p> {
    pub(super) permit: &'p Permit,
    pub(super) scheme: Scheme,
    pub(super) host: HeaderValue,
    pub(super) settings: Arc<ServiceSettings>,
    pub(super) backends: Backends,
}

impl<'p> Destination<'p> {
    /// What this is the destination of.
    pub fn permit(&self) -> &'p Permit {
        self.permit
    }

    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What the backend sees as `Host`.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// How the owner of the target wants it to be proxied.
    pub fn settings(&self) -> &Arc<ServiceSettings> {
        &self.settings
    }

    pub fn backends(&self) -> &Backends {
        &self.backends
    }

    /// A destination for tests of later stages, which is in no other build.
    #[cfg(test)]
    pub(crate) fn for_tests(
        permit: &'p Permit,
        settings: Arc<ServiceSettings>,
        backends: Backends,
    ) -> Self {
        Self {
            permit,
            scheme: Scheme::Http,
            host: HeaderValue::from_static("web.demo.svc"),
            settings,
            backends,
        }
    }
}

/// The addresses behind a target.
#[derive(Debug, Clone)]
pub enum Backends {
    /// One pod or node: its addresses in the order in which to try them, never empty.
    Addresses {
        addresses: Vec<DialableAddr>,
        /// `namespace/name` of the pod; empty for a node.
        pod: Arc<str>,
    },
    /// A Service: whoever of its endpoints is ready when it is chosen.
    Endpoints {
        namespace: Arc<str>,
        service: Arc<str>,
        /// The name of the Service's port, by which each slice knows its own; empty for a port without a name.
        port: Box<str>,
        slices: Arc<Vec<Arc<EndpointSlice>>>,
    },
}

#[cfg(test)]
impl Backends {
    /// Nobody, for tests of what asks for no address.
    pub(crate) fn none() -> Self {
        Self::Addresses {
            addresses: Vec::new(),
            pod: Arc::from(""),
        }
    }
}

/// `Host` as a client of the target itself would send it: the port only where it is not the scheme's own.
///
/// # Errors
/// The name is no header text. No Kubernetes object and no IP address has such a name.
pub(super) fn host_header(
    mut name: String,
    port: u16,
    scheme: Scheme,
) -> Result<HeaderValue, DestinationError> {
    let is_default = matches!(
        (scheme, port),
        (Scheme::Http, 80) | (Scheme::Https | Scheme::Kubelet, 443)
    );
    if !is_default {
        let _ = write!(name, ":{port}");
    }
    HeaderValue::try_from(name).map_err(|_| DestinationError::HostName)
}

//! 8, which one. In: a [`Destination`]. Out: a [`EndpointOrder`]: the endpoint to use, and whom to try if it refuses
//! the connection.
//!
//! A random one of those that are ready, as kube-apiserver does; those that refused a connection lately come last.
//! While a Service has no ready endpoint, those that are terminating but still serve are used, as kube-proxy does.
//!
//! Refuses: 503 that says how many endpoints there are, how many are ready, and what is wrong with the others.

mod candidates;
mod outliers;

use std::sync::Arc;

use http::HeaderValue;

pub use outliers::Outliers;

use crate::protocol::status::Status;
use crate::serve::authorization::Permit;
use crate::serve::cluster::{ApiServerError, Cluster, ServiceSettings};
use crate::serve::destination::{AddressPolicy, Backends, Destination, DialableAddr, Scheme};
use crate::serve::refusal::{Fault, Refuse};
use crate::serve::request_context::RequestContext;
use candidates::{Candidate, Candidates, EndpointSummary};

/// How many endpoints a request tries to connect to at the most.
const MOST_TRIES: usize = 3;

/// One chosen backend address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub address: DialableAddr,
    pub scheme: Scheme,
    /// What the backend sees as `Host`.
    pub host: HeaderValue,
    /// `namespace/name` of the pod, for the log; empty for nodes.
    pub pod: Arc<str>,
    /// How its Service wants to be proxied.
    pub settings: Arc<ServiceSettings>,
}

/// Endpoints in the order in which to try them; the next one only if no connection was made to the one before. They are
/// those of a [`Destination`], with its permit.
#[derive(Debug, Clone)]
pub struct EndpointOrder<'p> {
    permit: &'p Permit,
    first: Endpoint,
    others: Vec<Endpoint>,
}

impl<'p> EndpointOrder<'p> {
    /// What may be sent to these endpoints.
    pub fn permit(&self) -> &'p Permit {
        self.permit
    }

    pub fn first(&self) -> &Endpoint {
        &self.first
    }

    pub fn others(&self) -> &[Endpoint] {
        &self.others
    }

    /// An order for tests of later stages, which is in no other build.
    #[cfg(test)]
    pub(crate) fn for_tests(permit: &'p Permit, mut endpoints: Vec<Endpoint>) -> Self {
        Self {
            permit,
            first: endpoints.remove(0),
            others: endpoints,
        }
    }
}

/// Why there is no [`EndpointOrder`].
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("no endpoints available for service {service:?}: {summary}")]
    NoneReady {
        service: Arc<str>,
        summary: EndpointSummary,
    },
    #[error("no endpoints available for service {service:?}: those that were known are gone")]
    Gone { service: Arc<str> },
    #[error("cannot confirm the endpoints of service {service:?}: the API server does not answer")]
    Unconfirmed {
        service: Arc<str>,
        #[source]
        cause: Arc<ApiServerError>,
    },
}

impl Refuse for EndpointError {
    fn status(&self) -> Status {
        Status::unavailable(self.to_string())
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NoneReady { .. } | Self::Gone { .. } => "no_endpoints",
            Self::Unconfirmed { .. } => "lookup",
        }
    }

    fn fault(&self) -> Fault {
        Fault::Backend
    }
}

/// Chooses endpoints.
#[derive(Debug)]
pub struct Endpoints {
    cluster: Cluster,
    policy: AddressPolicy,
    outliers: Outliers,
}

impl Endpoints {
    pub fn new(cluster: Cluster, policy: AddressPolicy, outliers: Outliers) -> Self {
        Self {
            cluster,
            policy,
            outliers,
        }
    }

    /// Chooses where a request goes now. Waits only if nobody has confirmed for long what is known of pods; then the
    /// API server is asked whether the chosen ones still have their addresses.
    ///
    /// # Errors
    /// A Service has nobody who can serve it.
    pub async fn choose<'p>(
        &self,
        context: &RequestContext,
        destination: &Destination<'p>,
    ) -> Result<EndpointOrder<'p>, EndpointError> {
        let mut order = self.choose_as_known(destination)?;
        // A watch that is cut off shows pods that are gone; their addresses may be another tenant's by now.
        if !self.cluster.pods_are_current() {
            order = Box::pin(self.confirm(destination, order)).await?;
        }
        context.note(|record| record.resolved = context.time());
        Ok(order)
    }

    /// Keeps those endpoints of a Service whose pods the API server knows with these addresses right now.
    async fn confirm<'p>(
        &self,
        destination: &Destination<'p>,
        order: EndpointOrder<'p>,
    ) -> Result<EndpointOrder<'p>, EndpointError> {
        let Backends::Endpoints { service, .. } = destination.backends() else {
            // The one pod or node was looked up when it was resolved.
            return Ok(order);
        };
        let mut confirmed = Vec::new();
        for endpoint in std::iter::once(order.first).chain(order.others) {
            let (namespace, name) = endpoint.pod.split_once('/').unwrap_or_default();
            let pod = self.cluster.find_pod(namespace, name).await;
            // An API server that can't be asked is no reason to dial an address that may be anybody's.
            let pod = pod.map_err(|cause| EndpointError::Unconfirmed {
                service: Arc::clone(service),
                cause,
            })?;
            if pod.is_some_and(|pod| pod.ips.contains(&endpoint.address.ip())) {
                confirmed.push(endpoint);
            }
        }
        if confirmed.is_empty() {
            return Err(EndpointError::Gone {
                service: Arc::clone(service),
            });
        }
        Ok(self.in_order(destination, confirmed))
    }

    fn choose_as_known<'p>(
        &self,
        destination: &Destination<'p>,
    ) -> Result<EndpointOrder<'p>, EndpointError> {
        match destination.backends() {
            Backends::Addresses { addresses, pod } => {
                let endpoints = addresses
                    .iter()
                    .map(|address| endpoint(destination, *address, Arc::clone(pod)));
                // More tries would only add up connect timeouts while the caller waits.
                Ok(self.in_order(destination, endpoints.take(MOST_TRIES).collect()))
            }
            Backends::Endpoints {
                namespace,
                service,
                port,
                slices,
            } => {
                let candidates = Candidates {
                    cluster: &self.cluster,
                    policy: &self.policy,
                    namespace,
                    port,
                    slices,
                    scheme: destination.scheme(),
                };
                let found = candidates.some(MOST_TRIES);
                if found.is_empty() {
                    return Err(EndpointError::NoneReady {
                        service: Arc::clone(service),
                        summary: candidates.summary(),
                    });
                }
                let named = |Candidate { address, pod }| endpoint(destination, address, pod);
                Ok(self.in_order(destination, found.into_iter().map(named).collect()))
            }
        }
    }

    /// Those that refused a connection lately go to the end: they are used only if nobody else is left.
    fn in_order<'p>(
        &self,
        destination: &Destination<'p>,
        mut endpoints: Vec<Endpoint>,
    ) -> EndpointOrder<'p> {
        // A stable sort, so the random order stays among those that are equally good.
        endpoints.sort_by_key(|endpoint| self.outliers.sits_out(*endpoint.address));
        let mut endpoints = endpoints.into_iter();
        let first = endpoints.next().expect("a target has at least one address");
        EndpointOrder {
            permit: destination.permit(),
            first,
            others: endpoints.collect(),
        }
    }
}

fn endpoint(destination: &Destination<'_>, address: DialableAddr, pod: Arc<str>) -> Endpoint {
    Endpoint {
        address,
        scheme: destination.scheme(),
        host: destination.host().clone(),
        pod,
        settings: Arc::clone(destination.settings()),
    }
}

#[cfg(test)]
mod tests;

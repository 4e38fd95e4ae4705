//! Which endpoints of a Service may be used: ready, and really the pod that they say they are.
//!
//! Who can write an EndpointSlice can write any address into it, and would make this server connect where they can't
//! (CVE-2021-25740). So an endpoint counts only if it names a Pod of the Service's own namespace and that Pod has the
//! address; kube-apiserver's `isValidAddress` asks the same.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::serve::cluster::{Cluster, EndpointSlice, SliceEndpoint};
use crate::serve::destination::{AddressPolicy, DialableAddr, Scheme};

/// Endpoints whose pods are looked up for one request. A Service may have tens of thousands that can't be used.
const MAX_LOOKED_AT: usize = 256;

/// An endpoint that may be used.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) address: DialableAddr,
    pub(super) pod: Arc<str>,
}

/// The endpoints of one port of one Service.
pub(super) struct Candidates<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) policy: &'a AddressPolicy,
    pub(super) namespace: &'a str,
    pub(super) port: &'a str,
    pub(super) slices: &'a [Arc<EndpointSlice>],
    pub(super) scheme: Scheme,
}

/// What is the matter with a Service's endpoints, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointSummary {
    /// Endpoints of the Service, whatever their port and state.
    pub existing: usize,
    /// Those in a slice that has the port asked for.
    pub with_port: usize,
    pub ready: usize,
    /// Ready, but no pod of the Service's namespace with that address.
    pub no_such_pod: usize,
    /// Ready, but an address that is never dialled.
    pub not_allowed: usize,
}

impl fmt::Display for EndpointSummary {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            existing,
            with_port,
            ready,
            no_such_pod,
            not_allowed,
        } = self;
        if *existing == 0 {
            return text.write_str("it has no endpoints; does its selector match any pod?");
        }
        write!(text, "of {existing} endpoints {ready} are ready")?;
        if with_port < existing {
            write!(text, ", {} lack the port", existing - with_port)?;
        }
        if *no_such_pod > 0 {
            write!(text, ", {no_such_pod} are not a pod of this namespace")?;
        }
        if *not_allowed > 0 {
            write!(text, ", {not_allowed} have an address that is not allowed")?;
        }
        Ok(())
    }
}

/// Why an endpoint is not used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unusable {
    NoSuchPod,
    NotAllowed,
}

impl Candidates<'_> {
    /// At most `most` endpoints from a random place on; the ready ones, or those that serve while they terminate.
    pub(super) fn some(&self, most: usize) -> Vec<Candidate> {
        // Those that end may still serve, but only while nobody else does (as kube-proxy has it).
        let ready = self.pick(most, |endpoint| endpoint.ready);
        if !ready.is_empty() {
            return ready;
        }
        self.pick(most, |endpoint| endpoint.serving && endpoint.terminating)
    }

    fn pick(&self, most: usize, wanted: fn(&SliceEndpoint) -> bool) -> Vec<Candidate> {
        let count = self.with_port_count();
        if count == 0 {
            return Vec::new();
        }
        // A random start spreads requests without any state that they would share.
        let start = fastrand::usize(..count);
        self.with_port_from(start)
            .take(count)
            .filter(|(endpoint, _)| wanted(endpoint))
            // Counts those that are wanted, so the bound is on lookups and not on endpoints that are passed by.
            .take(MAX_LOOKED_AT)
            .filter_map(|(endpoint, port)| self.accept(endpoint, port).ok())
            .take(most)
            .collect()
    }

    /// Why there is nothing to choose from. What is wrong with them is said of the first [`MAX_LOOKED_AT`] that are
    /// ready.
    pub(super) fn summary(&self) -> EndpointSummary {
        let mut summary = EndpointSummary {
            existing: self.slices.iter().map(|slice| slice.endpoints.len()).sum(),
            with_port: self.with_port_count(),
            ..EndpointSummary::default()
        };
        for (endpoint, port) in self.with_port_from(0).take(summary.with_port) {
            if endpoint.ready {
                summary.ready += 1;
                // Counted on, but not looked up: the number is what the caller is told.
                if summary.ready > MAX_LOOKED_AT {
                    continue;
                }
                match self.accept(endpoint, port) {
                    Ok(_) => {}
                    Err(Unusable::NoSuchPod) => summary.no_such_pod += 1,
                    Err(Unusable::NotAllowed) => summary.not_allowed += 1,
                }
            }
        }
        summary
    }

    /// How many endpoints are in slices that have the port; it costs a look at each slice and none at an endpoint.
    fn with_port_count(&self) -> usize {
        self.slices_with_port()
            .map(|(slice, _)| slice.endpoints.len())
            .sum()
    }

    /// The endpoints of slices that have the port, with the number that it has there; from one on, and round to it
    /// again.
    fn with_port_from(&self, start: usize) -> impl Iterator<Item = (&SliceEndpoint, u16)> {
        let mut before = 0;
        let (mut first, mut within) = (0, 0);
        for (at, (slice, _)) in self.slices_with_port().enumerate() {
            // Found by adding up lengths, so that of thousands of endpoints none is visited.
            if before + slice.endpoints.len() > start {
                (first, within) = (at, start - before);
                break;
            }
            before += slice.endpoints.len();
        }
        let of_slice = |(slice, port): (_, u16)| {
            let slice: &EndpointSlice = slice;
            slice.endpoints.iter().map(move |endpoint| (endpoint, port))
        };
        // Whole slices are skipped, so that no endpoint before the start is looked at.
        let from = self.slices_with_port().skip(first).flat_map(of_slice);
        let round = self.slices_with_port().take(first + 1).flat_map(of_slice);
        from.skip(within).chain(round)
    }

    fn slices_with_port(&self) -> impl Iterator<Item = (&EndpointSlice, u16)> {
        self.slices.iter().filter_map(|slice| {
            let port = slice.ports.iter().find(|port| &*port.name == self.port)?;
            Some((&**slice, port.number))
        })
    }

    fn accept(&self, endpoint: &SliceEndpoint, port: u16) -> Result<Candidate, Unusable> {
        // An endpoint without a pod is an address that somebody wrote, and nothing vouches for it.
        let (namespace, name) = endpoint.pod.as_ref().ok_or(Unusable::NoSuchPod)?;
        if !namespace.is_empty() && **namespace != *self.namespace {
            return Err(Unusable::NoSuchPod);
        }
        let pod = self
            .cluster
            .pod(self.namespace, name)
            .ok_or(Unusable::NoSuchPod)?;
        // The pod says that it has the address, and nobody else has it now.
        let is_its_own = pod.ips.contains(&endpoint.address)
            && self.cluster.is_address_of(endpoint.address, &pod);
        if !is_its_own {
            return Err(Unusable::NoSuchPod);
        }
        let address = SocketAddr::new(endpoint.address, port);
        // The rules for addresses come on top: even a real pod may have one that is never dialled, as with the node's
        // network.
        let address = self.policy.check(address, self.scheme);
        let address = address.map_err(|_| Unusable::NotAllowed)?;
        Ok(Candidate {
            address,
            pod: Arc::clone(&pod.name),
        })
    }
}

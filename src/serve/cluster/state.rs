//! What is known of the cluster, and how it is read: without waiting, except in `find_…`.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::addresses::Addresses;
use super::api_call::ApiServerError;
use super::endpoints::{EndpointSlice, SliceOwners};
use super::events::EventRecorder;
use super::fallback_lookup::FallbackLookup;
use super::isolated::Isolated;
use super::nodes::{Kubelets, Node};
use super::pods::Pod;
use super::services::Service;
use super::table::{Freshness, ObjectTable};

/// The read side: cheap to clone, never waits except in `find_…`.
#[derive(Debug, Clone)]
pub struct Cluster(pub(super) Arc<Kinds>);

#[derive(Debug)]
pub(super) struct Kinds {
    pub(super) pods: ObjectTable<Pod>,
    pub(super) services: ObjectTable<Service>,
    pub(super) nodes: ObjectTable<Node>,
    /// By namespace and Service.
    pub(super) slices: ObjectTable<Vec<Arc<EndpointSlice>>>,
    pub(super) slices_of: SliceOwners,
    /// Which live pods claim an address.
    pub(super) addresses: Addresses,
    /// At which addresses a kubelet listens, and where.
    pub(super) kubelets: Kubelets,
    pub(super) isolated: Isolated,
    pub(super) lookup: FallbackLookup,
    pub(super) events: EventRecorder,
    /// One page of a list is in memory at a time.
    pub(super) lists: Arc<Semaphore>,
    pub(super) watch_failures: AtomicU64,
    pub(super) unreadable: AtomicU64,
}

impl Cluster {
    /// A cluster of which nothing is known yet.
    pub(super) fn empty(client: kube::Client, events: EventRecorder) -> Self {
        Self(Arc::new(Kinds {
            pods: ObjectTable::default(),
            services: ObjectTable::default(),
            nodes: ObjectTable::default(),
            slices: ObjectTable::default(),
            slices_of: SliceOwners::default(),
            addresses: Addresses::default(),
            kubelets: Kubelets::default(),
            isolated: Isolated::default(),
            lookup: FallbackLookup::new(client),
            events,
            lists: Arc::new(Semaphore::new(1)),
            watch_failures: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
        }))
    }

    pub fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        self.0.pods.get(namespace, name)
    }

    /// The slices of a Service; `None` when it has none.
    pub fn slices(&self, namespace: &str, service: &str) -> Option<Arc<Vec<Arc<EndpointSlice>>>> {
        self.0.slices.get(namespace, service)
    }

    /// A Service known from the watch alone.
    pub fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        self.0.services.get(namespace, name)
    }

    /// A Pod, asked for at the API server if it is not in memory; `None` when the API server has none either.
    ///
    /// # Errors
    /// It is not in memory and the API server could not be asked.
    pub async fn find_pod(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Pod>>, Arc<ApiServerError>> {
        // Only while the watch is alive: what a dead one shows may have moved on.
        match self.0.pods.confirmed(namespace, name) {
            Some(pod) => Ok(Some(pod)),
            None => self.0.lookup.pod(namespace, name).await,
        }
    }

    /// A Service, as [`Cluster::find_pod`].
    ///
    /// # Errors
    /// As [`Cluster::find_pod`].
    pub async fn find_service(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Service>>, Arc<ApiServerError>> {
        match self.0.services.confirmed(namespace, name) {
            Some(service) => Ok(Some(service)),
            None => self.0.lookup.service(namespace, name).await,
        }
    }

    /// A Node, as [`Cluster::find_pod`].
    ///
    /// # Errors
    /// As [`Cluster::find_pod`].
    pub async fn find_node(&self, name: &str) -> Result<Option<Arc<Node>>, Arc<ApiServerError>> {
        match self.0.nodes.confirmed("", name) {
            Some(node) => Ok(Some(node)),
            None => self.0.lookup.node(name).await,
        }
    }

    /// Whether every watch has delivered its first whole list and was heard of since: what is in memory may be served.
    pub fn synced(&self) -> bool {
        self.freshness() < Freshness::Stale
    }

    /// Whether what is known of pods is known for sure; otherwise [`Cluster::find_pod`] asks the API server.
    pub fn pods_are_current(&self) -> bool {
        self.0.pods.freshness(Instant::now()) == Freshness::Current
    }

    /// Whether a Service that selects this pod asks for its documents to be kept apart.
    pub fn pod_is_isolated(&self, namespace: &str, pod: &str) -> bool {
        self.0.isolated.has_pod(namespace, pod, &self.0.slices)
    }

    /// Whether an address is this pod's and no other live pod's.
    pub fn is_address_of(&self, ip: IpAddr, pod: &Pod) -> bool {
        self.0.addresses.belongs_to(ip, pod)
    }

    /// Whether a live pod with a network of its own has the address.
    pub fn is_a_pods(&self, ip: IpAddr) -> bool {
        self.0.addresses.is_claimed(ip)
    }

    /// Whether a node that has the address says its kubelet listens at the port; `None` if no node has the address.
    pub fn is_kubelet_port(&self, ip: IpAddr, port: u16) -> Option<bool> {
        self.0.kubelets.listens_at(ip, port)
    }

    /// That of the table that was confirmed least.
    fn freshness(&self) -> Freshness {
        // A request needs all four kinds, so the worst of them counts.
        let (kinds, now) = (&self.0, Instant::now());
        kinds
            .pods
            .freshness(now)
            .max(kinds.services.freshness(now))
            .max(kinds.nodes.freshness(now))
            .max(kinds.slices.freshness(now))
    }

    /// How many objects came that could not be read.
    pub fn unreadable(&self) -> u64 {
        self.0.unreadable.load(Ordering::Relaxed)
    }

    /// How often a watch broke off and had to be resumed.
    pub fn watch_failures(&self) -> u64 {
        self.0.watch_failures.load(Ordering::Relaxed)
    }
}

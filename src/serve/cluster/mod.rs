//! What the cluster looks like now: kept in memory from watches, one writer a kind, read without waiting.
//!
//! ```text
//! [ Service ] -> [ EndpointSlice ] -> [ Pod ]      [ Node ]      [ ConfigMap of the front proxy ]
//! ```
//!
//! Only the fields that the road reads are kept. What is not in memory is looked up once at the API server before anybody
//! is told that it does not exist: a watch may lag behind what the caller has just created.
//!
//! What nobody confirms any more is not believed: after `CONFIRM_AFTER` an object is looked up before it is used,
//! after `STALE_AFTER` nothing is served and the server is not ready.

mod addresses;
mod api_call;
mod client;
mod endpoints;
mod events;
mod fallback_lookup;
mod front_proxy;
mod isolated;
mod list_page;
mod nodes;
mod object;
mod pods;
mod services;
mod settings;
mod table;
mod watch;
mod watch_stream;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use api_call::{ApiServerError, call_with_retries};
pub use client::{ClientError, Connected, connect};
pub use endpoints::{EndpointSlice, SliceEndpoint};
pub use front_proxy::FrontProxyLookup;
pub use nodes::Node;
pub use pods::{Phase, Pod};
pub use services::{Service, ServicePort};
pub use settings::{
    ClientRouter, Isolation, PageHelper, Prefix, Redirects, Rewrite, ServiceSettings,
};

use crate::lifecycle::Tasks;
use addresses::Addresses;
use events::EventRecorder;
use fallback_lookup::FallbackLookup;
use isolated::Isolated;
use nodes::Kubelets;
use table::{Freshness, ObjectTable};

/// The read side: cheap to clone, never waits except in `find_…`.
#[derive(Debug, Clone)]
pub struct Cluster(Arc<Kinds>);

#[derive(Debug)]
struct Kinds {
    pods: ObjectTable<Pod>,
    services: ObjectTable<Service>,
    nodes: ObjectTable<Node>,
    /// By namespace and Service.
    slices: ObjectTable<Vec<Arc<EndpointSlice>>>,
    slices_of: endpoints::SliceOwners,
    /// Which live pods claim an address.
    addresses: Addresses,
    /// At which addresses a kubelet listens, and where.
    kubelets: Kubelets,
    isolated: Isolated,
    lookup: FallbackLookup,
    events: EventRecorder,
    /// One page of a list is in memory at a time.
    lists: Arc<Semaphore>,
    watch_failures: AtomicU64,
    unreadable: AtomicU64,
}

impl Cluster {
    /// Starts one watch a kind; they run until the server has drained.
    pub fn start(client: &kube::Client, tasks: &Tasks) -> Self {
        let (events, waiting) = events::channel();
        let cluster = Self::empty(client.clone(), events);
        tasks.spawn_required("events", waiting.write(client.clone()));
        let (apply, confirm) = (Self::apply_pod, Self::confirm_pods);
        let pods = watch::supervise(client.clone(), cluster.clone(), apply, confirm);
        tasks.spawn_required("pods", pods);
        let (apply, confirm) = (Self::apply_service, Self::confirm_services);
        let services = watch::supervise(client.clone(), cluster.clone(), apply, confirm);
        tasks.spawn_required("services", services);
        let (apply, confirm) = (Self::apply_node, Self::confirm_nodes);
        let nodes = watch::supervise(client.clone(), cluster.clone(), apply, confirm);
        tasks.spawn_required("nodes", nodes);
        let (apply, confirm) = (Self::apply_slice, Self::confirm_slices);
        let slices = watch::supervise(client.clone(), cluster.clone(), apply, confirm);
        tasks.spawn_required("endpointslices", slices);
        cluster
    }

    /// A cluster of which nothing is known yet.
    fn empty(client: kube::Client, events: EventRecorder) -> Self {
        Self(Arc::new(Kinds {
            pods: ObjectTable::default(),
            services: ObjectTable::default(),
            nodes: ObjectTable::default(),
            slices: ObjectTable::default(),
            slices_of: endpoints::SliceOwners::default(),
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

/// An entry without a protocol is TCP. UDP and SCTP ports may have the same number and are never dialled.
fn is_tcp(protocol: &str) -> bool {
    matches!(protocol, "" | "TCP")
}

#[cfg(test)]
impl Cluster {
    /// A cluster of the objects given, for tests of the stages that read it; nothing else is in it or can be asked for.
    pub(crate) fn of(objects: &[serde_json::Value]) -> Self {
        let cluster = Self::unlisted(objects);
        cluster.confirm_all();
        cluster
    }

    /// The same, before it is known that these are all.
    pub(crate) fn unlisted(objects: &[serde_json::Value]) -> Self {
        let (service, handle) = tower_test::mock::pair::<_, http::Response<axum::body::Body>>();
        drop(handle);
        let cluster = Self::empty(kube::Client::new(service, "default"), events::channel().0);
        for object in objects {
            match object["kind"].as_str() {
                Some("Pod") => cluster.apply_pod(tests::applied(object)),
                Some("Service") => cluster.apply_service(tests::applied(object)),
                Some("Node") => cluster.apply_node(tests::applied(object)),
                _ => cluster.apply_slice(tests::applied(object)),
            }
        }
        cluster
    }

    /// As after the first whole lists.
    pub(crate) fn confirm_all(&self) {
        self.0.pods.mark_confirmed();
        self.0.services.mark_confirmed();
        self.0.nodes.mark_confirmed();
        self.0.slices.mark_confirmed();
    }

    /// Lets it be known that an object does not exist, as the API server would.
    pub(crate) async fn without(self, namespace: &str, name: &str) -> Self {
        self.0.lookup.nothing_there(namespace, name).await;
        self
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! What the cluster looks like now: kept in memory from watches, one writer a kind, read without waiting.
//!
//! ```text
//! [ Service ] -> [ EndpointSlice ] -> [ Pod ]      [ Node ]      [ ConfigMap of the front proxy ]
//! ```
//!
//! Only the fields that the road reads are kept. What is not in memory is looked up once at the API server before anybody
//! is told that it does not exist: a watch may lag behind what the caller has just created.

mod ask;
mod client;
mod complaints;
mod endpoints;
mod find;
mod front_proxy;
mod nodes;
mod pods;
mod services;
mod settings;
mod table;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kube::Api;

pub use ask::{Unanswered, ask};
pub use client::{ClientError, Connected, connect};
pub use endpoints::{Slice, SliceEndpoint, SlicePort};
pub use front_proxy::{FrontProxyLookup, Lookup};
pub use nodes::Node;
pub use pods::{Pod, PodPort};
pub use services::{Service, ServicePort};
pub use settings::{Isolation, PageHelper, Prefix, Redirects, Rewrite, ServiceSettings};

use crate::lifecycle::Tasks;
use complaints::Complaints;
use find::Finder;
use table::Table;

/// The read side: cheap to clone, never waits except in `find_…`.
#[derive(Debug, Clone)]
pub struct Cluster(Arc<Kinds>);

#[derive(Debug)]
struct Kinds {
    pods: Table<Pod>,
    services: Table<Service>,
    nodes: Table<Node>,
    /// By namespace and Service.
    slices: Table<Vec<Arc<Slice>>>,
    slices_of: endpoints::Writer,
    finder: Finder,
    complaints: Complaints,
    watch_failures: AtomicU64,
}

impl Cluster {
    /// Starts one watch a kind; they run until the server has drained.
    pub fn start(client: &kube::Client, tasks: &Tasks) -> Self {
        let (complaints, waiting) = complaints::channel();
        let cluster = Self::empty(client.clone(), complaints);
        tasks.spawn_background(waiting.write(client.clone()));
        let pods = Api::all(client.clone());
        tasks.spawn_background(watch::supervise(pods, cluster.clone(), Self::apply_pod));
        let services = Api::all(client.clone());
        tasks.spawn_background(watch::supervise(
            services,
            cluster.clone(),
            Self::apply_service,
        ));
        let nodes = Api::all(client.clone());
        tasks.spawn_background(watch::supervise(nodes, cluster.clone(), Self::apply_node));
        let slices = Api::all(client.clone());
        tasks.spawn_background(watch::supervise(slices, cluster.clone(), Self::apply_slice));
        cluster
    }

    /// A cluster of which nothing is known yet.
    fn empty(client: kube::Client, complaints: Complaints) -> Self {
        Self(Arc::new(Kinds {
            pods: Table::default(),
            services: Table::default(),
            nodes: Table::default(),
            slices: Table::default(),
            slices_of: endpoints::Writer::default(),
            finder: Finder::new(client),
            complaints,
            watch_failures: AtomicU64::new(0),
        }))
    }

    pub fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        self.0.pods.get(namespace, name)
    }

    /// The slices of a Service; `None` when it has none.
    pub fn slices(&self, namespace: &str, service: &str) -> Option<Arc<Vec<Arc<Slice>>>> {
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
    ) -> Result<Option<Arc<Pod>>, Arc<Unanswered>> {
        match self.0.pods.get(namespace, name) {
            Some(pod) => Ok(Some(pod)),
            None => self.0.finder.pod(namespace, name).await,
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
    ) -> Result<Option<Arc<Service>>, Arc<Unanswered>> {
        match self.0.services.get(namespace, name) {
            Some(service) => Ok(Some(service)),
            None => self.0.finder.service(namespace, name).await,
        }
    }

    /// A Node, as [`Cluster::find_pod`].
    ///
    /// # Errors
    /// As [`Cluster::find_pod`].
    pub async fn find_node(&self, name: &str) -> Result<Option<Arc<Node>>, Arc<Unanswered>> {
        match self.0.nodes.get("", name) {
            Some(node) => Ok(Some(node)),
            None => self.0.finder.node(name).await,
        }
    }

    /// Whether every watch has delivered its first whole list.
    pub fn synced(&self) -> bool {
        let kinds = &self.0;
        kinds.pods.synced()
            && kinds.services.synced()
            && kinds.nodes.synced()
            && kinds.slices.synced()
    }

    /// How often a watch broke off and had to be resumed.
    pub fn watch_failures(&self) -> u64 {
        self.0.watch_failures.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
impl Cluster {
    /// A cluster of the objects given, for tests of the stages that read it; nothing else is in it or can be asked for.
    pub(crate) fn of(objects: &[serde_json::Value]) -> Self {
        use kube::runtime::watcher::Event;

        let (service, handle) = tower_test::mock::pair::<_, http::Response<axum::body::Body>>();
        drop(handle);
        let cluster = Self::empty(
            kube::Client::new(service, "default"),
            complaints::channel().0,
        );
        for object in objects {
            let kept = "the object is one of its kind";
            match object["kind"].as_str() {
                Some("Pod") => cluster.apply_pod(Event::Apply(
                    serde_json::from_value(object.clone()).expect(kept),
                )),
                Some("Service") => cluster.apply_service(Event::Apply(
                    serde_json::from_value(object.clone()).expect(kept),
                )),
                Some("Node") => cluster.apply_node(Event::Apply(
                    serde_json::from_value(object.clone()).expect(kept),
                )),
                _ => cluster.apply_slice(Event::Apply(
                    serde_json::from_value(object.clone()).expect(kept),
                )),
            }
        }
        cluster
    }

    /// Lets it be known that an object does not exist, as the API server would.
    pub(crate) async fn without(self, namespace: &str, name: &str) -> Self {
        self.0.finder.nothing_there(namespace, name).await;
        self
    }
}

#[cfg(test)]
mod tests;

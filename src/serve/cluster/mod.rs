//! What the cluster looks like now: kept in memory from watches, one writer a kind, read without waiting.
//!
//! ```text
//! [ Service ] -> [ EndpointSlice ] -> [ Pod ]      [ Node ]      [ ConfigMap of the front proxy ]
//! ```
//!
//! Only the fields that requests need are kept. What is not in memory is looked up once at the API server before
//! anybody is told that it does not exist: a watch may lag behind what the caller has just created.
//!
//! What nobody confirms any more is not believed: after `CONFIRM_AFTER` an object is looked up before it is used,
//! after `STALE_AFTER` nothing is served and the server is not ready.

mod addresses;
mod api_call;
mod apply;
mod change;
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
mod state;
mod table;
mod watch;
mod watch_stream;

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
pub use state::Cluster;

use crate::lifecycle::Tasks;

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

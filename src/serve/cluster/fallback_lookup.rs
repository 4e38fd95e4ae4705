//! The second look: what is not in memory is asked for at the API server, once for a burst.
//!
//! Both results hold for two seconds, so that names that do not exist cost the API server little and this server a
//! bounded memory, and so that something new is seen soon even if the watch lags.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use kube::api::Api;
use moka::future::Cache;

use super::nodes::RawNode;
use super::object::{Object, ObjectContent, ReadObject};
use super::pods::RawPod;
use super::services::RawService;
use super::table::ObjectKey;
use super::{ApiServerError, Node, Pod, Service, call_with_retries};

const CAPACITY: u64 = 4096;
const CACHE_TTL: Duration = Duration::from_secs(2);

type Found<T> = Cache<ObjectKey, Option<Arc<T>>>;

/// Asks for single objects.
pub(super) struct FallbackLookup {
    client: kube::Client,
    pods: Found<Pod>,
    services: Found<Service>,
    nodes: Found<Node>,
}

impl FallbackLookup {
    pub(super) fn new(client: kube::Client) -> Self {
        Self {
            client,
            pods: remembered(),
            services: remembered(),
            nodes: remembered(),
        }
    }

    pub(super) async fn pod(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Pod>>, Arc<ApiServerError>> {
        let api: Api<Object<RawPod>> = Api::namespaced(self.client.clone(), namespace);
        find(&self.pods, &api, ObjectKey::new(Some(namespace), name)).await
    }

    pub(super) async fn service(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Service>>, Arc<ApiServerError>> {
        let api: Api<Object<RawService>> = Api::namespaced(self.client.clone(), namespace);
        find(&self.services, &api, ObjectKey::new(Some(namespace), name)).await
    }

    pub(super) async fn node(&self, name: &str) -> Result<Option<Arc<Node>>, Arc<ApiServerError>> {
        let api: Api<Object<RawNode>> = Api::all(self.client.clone());
        find(&self.nodes, &api, ObjectKey::new(None, name)).await
    }
}

#[cfg(test)]
impl FallbackLookup {
    pub(super) async fn nothing_there(&self, namespace: &str, name: &str) {
        let key = ObjectKey::new(Some(namespace), name);
        self.pods.insert(key.clone(), None).await;
        self.services.insert(key.clone(), None).await;
        self.nodes.insert(key, None).await;
    }
}

impl Debug for FallbackLookup {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("FallbackLookup")
            .finish_non_exhaustive()
    }
}

fn remembered<T: Send + Sync + 'static>() -> Found<T> {
    Cache::builder()
        .max_capacity(CAPACITY)
        .time_to_live(CACHE_TTL)
        .build()
}

async fn find<C, T>(
    found: &Found<T>,
    api: &Api<Object<C>>,
    key: ObjectKey,
) -> Result<Option<Arc<T>>, Arc<ApiServerError>>
where
    C: ObjectContent,
    T: From<ReadObject<C>> + Send + Sync + 'static,
{
    // Callers name only what can be a name; here it would be part of a path.
    if !is_path_segment(&key.namespace) || !is_path_segment(&key.name) {
        return Ok(None);
    }
    let name = key.name.clone();
    let asking = async {
        let object = call_with_retries(|| api.get_opt(&name)).await?;
        // An object that can't be read is not there, as for the watch.
        let known = object.and_then(|object| object.known().ok());
        Ok(known.map(|known| Arc::new(T::from(known))))
    };
    // Those who ask for the same name wait for one question. One that fails is told to all of them and not kept.
    Box::pin(found.try_get_with(key, asking)).await
}

/// Whether a name means nothing but itself in a path. The namespace of what has none is empty.
fn is_path_segment(name: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    name.bytes().all(is_plain) && !matches!(name, "." | "..")
}

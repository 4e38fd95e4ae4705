//! One watch, kept alive: listed in pages, resumed where it broke off, listed anew when the API server has forgotten where
//! that was (410 Gone).

use std::fmt::Debug;
use std::pin::pin;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};

use super::Cluster;

/// Objects in one page of a list: small enough that a page is a few megabytes.
const PAGE: u32 = 500;

/// Feeds every event of a kind to `apply`, for as long as the server runs.
pub(super) async fn supervise<K>(api: Api<K>, cluster: Cluster, apply: fn(&Cluster, Event<K>))
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    let config = watcher::Config::default().page_size(PAGE);
    loop {
        // The backoff between tries is kube's default: from 0.8 s to 30 s, with jitter, reset by a success.
        let mut events = pin!(watcher(api.clone(), config.clone()).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => apply(&cluster, event),
                Err(failed) => {
                    cluster.0.watch_failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(kind, error = %failed, "a watch broke off and is resumed");
                    if is_forgotten(&failed) {
                        break;
                    }
                }
            }
        }
    }
}

/// Whether the API server refused to resume as it has forgotten the place: then only a new list helps. (When it says so
/// inside a running watch, kube lists anew by itself.)
fn is_forgotten(failed: &watcher::Error) -> bool {
    matches!(failed, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410)
}

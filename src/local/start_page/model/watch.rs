//! One kind of object in one scope, for as long as it is looked at. Out: [`ClusterChange`]s.
//!
//! kube's watcher lists, then watches, and resumes after a break. A list that is forbidden ends it; a watch that is
//! forbidden where the list is not becomes a list again and again.
//!
//! `serve` has a watch of its own (`serve/cluster/watch.rs`): there every object is a stranger's, so each is read
//! within bounds, and what is dialled depends on when the table was confirmed. Here a user looks at what they may see,
//! for as long as the page is open.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::mpsc;

use super::cluster_error::{self, ClusterError};
use super::objects::{ObjectKey, StoredService, StoredSlice, WatchedObject};
use super::store::{ObjectEvent, Scope};

/// Objects in one page of a list.
const PAGE_SIZE: u32 = 500;
/// How old a list becomes where nothing may be watched.
const RELIST_INTERVAL: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(in crate::local::start_page) enum ClusterChange {
    Services(ObjectEvent<StoredService>),
    EndpointSlices(ObjectEvent<StoredSlice>),
    /// Nothing may be listed there.
    Forbidden(WatchedKind, Scope),
    /// A list failed; it is tried again.
    Failed(WatchedKind, Scope, ClusterError),
    /// A watch failed; it may be resumed at once.
    WatchBroke,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::local::start_page) enum WatchedKind {
    Services,
    EndpointSlices,
}

/// Objects of one kind, and the [`ClusterChange`] that tells of them.
pub(in crate::local::start_page) struct Watched<K: WatchedObject> {
    pub(in crate::local::start_page) api: Api<K>,
    pub(in crate::local::start_page) kind: WatchedKind,
    pub(in crate::local::start_page) scope: Scope,
    pub(in crate::local::start_page) change: fn(ObjectEvent<K::Stored>) -> ClusterChange,
}

enum NextStep {
    Resume,
    ListAgain,
    End,
}

pub(in crate::local::start_page) async fn list_and_watch<K>(
    watched: Watched<K>,
    changes: mpsc::Sender<ClusterChange>,
) where
    K: WatchedObject + kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    let config = watcher::Config::default().page_size(PAGE_SIZE);
    loop {
        // Made anew for each round, as a stream that ended can't be polled again.
        let mut events = pin!(
            watcher(watched.api.clone(), config.clone())
                .backoff(watcher::DefaultBackoff::default())
        );
        let mut list = Vec::new();
        while let Some(event) = events.next().await {
            let (change, next) = match event {
                Ok(event) => (watched.event(event, &mut list), NextStep::Resume),
                Err(failed) => watched.failure(&failed),
            };
            if let Some(change) = change
                // The receiver is gone when everything is listed anew, which ends this watch as well.
                && changes.send(change).await.is_err()
            {
                return;
            }
            match next {
                NextStep::Resume => {}
                NextStep::ListAgain => break,
                NextStep::End => return,
            }
        }
        tokio::time::sleep(RELIST_INTERVAL).await;
    }
}

impl<K: WatchedObject> Watched<K> {
    fn event(
        &self,
        event: Event<K>,
        list: &mut Vec<(ObjectKey, K::Stored)>,
    ) -> Option<ClusterChange> {
        let event = match event {
            Event::Init => {
                // A list that broke off begins anew, and its first half must not count.
                list.clear();
                return None;
            }
            Event::InitApply(object) => {
                list.extend(object.store());
                return None;
            }
            // Handed over as a whole: the page never shows half a list.
            Event::InitDone => ObjectEvent::Listed(self.scope.clone(), std::mem::take(list)),
            Event::Delete(object) => ObjectEvent::Deleted(object.key()),
            Event::Apply(object) => {
                let key = object.key();
                match object.store() {
                    Some((key, stored)) => ObjectEvent::Applied(key, stored),
                    // It may have lost the label that said whose it is.
                    None => ObjectEvent::Deleted(key),
                }
            }
        };
        Some((self.change)(event))
    }

    fn failure(&self, failed: &watcher::Error) -> (Option<ClusterChange>, NextStep) {
        match failed {
            watcher::Error::InitialListFailed(failed) if cluster_error::is_forbidden(failed) => {
                let forbidden = ClusterChange::Forbidden(self.kind, self.scope.clone());
                (Some(forbidden), NextStep::End)
            }
            watcher::Error::InitialListFailed(failed) => {
                let error = ClusterError::of(failed);
                let change = ClusterChange::Failed(self.kind, self.scope.clone(), error);
                (Some(change), NextStep::Resume)
            }
            watcher::Error::WatchStartFailed(failed) if cluster_error::is_forbidden(failed) => {
                (None, NextStep::ListAgain)
            }
            watcher::Error::WatchStartFailed(_) | watcher::Error::WatchFailed(_) => {
                (Some(ClusterChange::WatchBroke), NextStep::Resume)
            }
            // The watcher lists or resumes by itself after these.
            watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => {
                (None, NextStep::Resume)
            }
        }
    }
}

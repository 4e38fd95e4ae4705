//! One kind of object in one scope, for as long as it is looked at. Out: [`Change`]s.
//!
//! kube's watcher lists, then watches, and resumes after a break. A list that is forbidden ends it; a watch that is forbidden
//! where the list is not becomes a list again and again.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::mpsc;

use super::cluster_error::{self, Trouble};
use super::objects::{Kept, KeptService, KeptSlice};
use super::store::{News, Scope};

/// Objects in one page of a list.
const PAGE: u32 = 500;
/// How old a list becomes where nothing may be watched.
const LIST_AGAIN: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(in crate::local::start_page) enum Change {
    Services(News<KeptService>),
    Slices(News<KeptSlice>),
    /// Nothing may be listed there.
    Forbidden(Kind, Scope),
    /// A list failed; it is tried again.
    Failed(Kind, Scope, Trouble),
    /// A watch failed; it may be resumed at once.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::local::start_page) enum Kind {
    Services,
    Slices,
}

/// A kind, and how its news are told.
pub(in crate::local::start_page) struct Followed<K: Kept> {
    pub(in crate::local::start_page) api: Api<K>,
    pub(in crate::local::start_page) kind: Kind,
    pub(in crate::local::start_page) scope: Scope,
    pub(in crate::local::start_page) tell: fn(News<K::Kept>) -> Change,
}

enum Next {
    Resume,
    ListAgain,
    End,
}

pub(in crate::local::start_page) async fn follow<K>(
    followed: Followed<K>,
    changes: mpsc::Sender<Change>,
) where
    K: Kept + kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    let config = watcher::Config::default().page_size(PAGE);
    loop {
        let mut events = pin!(
            watcher(followed.api.clone(), config.clone())
                .backoff(watcher::DefaultBackoff::default())
        );
        let mut list = Vec::new();
        while let Some(event) = events.next().await {
            let (change, next) = match event {
                Ok(event) => (followed.news(event, &mut list), Next::Resume),
                Err(failed) => followed.failure(&failed),
            };
            if let Some(change) = change
                && changes.send(change).await.is_err()
            {
                return;
            }
            match next {
                Next::Resume => {}
                Next::ListAgain => break,
                Next::End => return,
            }
        }
        tokio::time::sleep(LIST_AGAIN).await;
    }
}

impl<K: Kept> Followed<K> {
    fn news(
        &self,
        event: Event<K>,
        list: &mut Vec<(super::objects::Key, K::Kept)>,
    ) -> Option<Change> {
        let news = match event {
            Event::Init => {
                list.clear();
                return None;
            }
            Event::InitApply(object) => {
                list.extend(object.keep());
                return None;
            }
            Event::InitDone => News::Listed(self.scope.clone(), std::mem::take(list)),
            Event::Delete(object) => News::Gone(object.key()),
            Event::Apply(object) => {
                let key = object.key();
                match object.keep() {
                    Some((key, kept)) => News::Put(key, kept),
                    None => News::Gone(key),
                }
            }
        };
        Some((self.tell)(news))
    }

    fn failure(&self, failed: &watcher::Error) -> (Option<Change>, Next) {
        match failed {
            watcher::Error::InitialListFailed(failed) if cluster_error::is_forbidden(failed) => {
                let forbidden = Change::Forbidden(self.kind, self.scope.clone());
                (Some(forbidden), Next::End)
            }
            watcher::Error::InitialListFailed(failed) => {
                let trouble = Trouble::of(failed);
                let change = Change::Failed(self.kind, self.scope.clone(), trouble);
                (Some(change), Next::Resume)
            }
            watcher::Error::WatchStartFailed(failed) if cluster_error::is_forbidden(failed) => {
                (None, Next::ListAgain)
            }
            watcher::Error::WatchStartFailed(_) | watcher::Error::WatchFailed(_) => {
                (Some(Change::Broken), Next::Resume)
            }
            watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => {
                (None, Next::Resume)
            }
        }
    }
}

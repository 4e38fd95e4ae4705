//! One watch, kept alive: listed in pages, resumed where it broke off, listed anew when the API server has forgotten
//! where that was (410 Gone).
//!
//! In: the objects of one kind, as the API server has them. Out: a [`Change`] for each, given to the kind's only
//! writer. An object that can't be read is skipped, counted and said, and its old row is removed; nothing that stands
//! in an object ends the list or the watch. Every event and every bookmark confirms the table: as long as they come,
//! what it holds is what the API server holds.
//!
//! Kubernetes: `tools/cache/reflector.go` of client-go.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kube::Client;
use kube::api::{ListParams, WatchParams};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::DefaultBackoff;
use tokio::time::Instant;

use super::change::Change;
use super::list_page::{self, ListError};
use super::object::{Object, ObjectContent};
use super::state::Cluster;
use super::table::ObjectKey;
use super::watch_stream::{WatchError, WatchItem, WatchStream};
use crate::causes::causes;

/// Objects in one page of a list; fewer if they are larger than [`super::list_page::MAX_PAGE`] together. One page is
/// read at a time, whatever its kind.
const PAGE: u32 = 100;

/// How long the API server lets a watch run before it ends it, in seconds. client-go has 5 to 10 minutes.
const WATCH_TIMEOUT: u32 = 290;

/// A watch in which nothing comes for this long is given up and resumed. Bookmarks come about every minute, but none is
/// promised: an API server that has seen no change of a kind since it started sends none. Shorter than
/// [`super::table::CONFIRM_AFTER`], so that a quiet cluster costs no lookups.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(90);

/// How long the API server may take to accept a watch.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// Failures in a row after which the place to resume from is given up, about a minute. Etcd that was restored from a
/// backup, for example, never reaches it again. client-go lists anew after nearly every failure.
const MAX_RESUMES: u32 = 5;

/// Unreadable objects are counted always, and said once in this time for each kind.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The writer of one kind's table.
struct TableWriter<C> {
    client: Client,
    cluster: Cluster,
    apply: fn(&Cluster, Change<C>),
    /// The kind is alive: what its table holds is what the API server holds.
    confirm: fn(&Cluster),
    kind: String,
    said: Option<Instant>,
}

/// Why a list or a watch has to begin again.
enum Interruption {
    /// It came to its usual end.
    Ended,
    /// Resuming does not help, as the API server has forgotten the place.
    Forgotten,
    Failed,
}

/// Feeds every change of a kind to `apply`, for as long as the server runs.
pub(super) async fn supervise<C: ObjectContent>(
    client: Client,
    cluster: Cluster,
    apply: fn(&Cluster, Change<C>),
    confirm: fn(&Cluster),
) {
    let mut writer = TableWriter {
        client,
        cluster,
        apply,
        confirm,
        kind: <Object<C> as kube::Resource>::kind(&()).into_owned(),
        said: None,
    };
    // From 0.8 s to 30 s, with jitter; a success resets it.
    let mut backoff = DefaultBackoff::default();
    loop {
        match writer.list().await {
            Ok(version) => writer.follow(version, &mut backoff).await,
            Err(failed) => writer.broke(&failed),
        }
        // A place that is forgotten as soon as it was listed would be listed without end.
        pause(&mut backoff).await;
    }
}

async fn pause(backoff: &mut DefaultBackoff) {
    if let Some(pause) = backoff.next() {
        tokio::time::sleep(pause).await;
    }
}

impl<C: ObjectContent> TableWriter<C> {
    /// Lists everything; the resource version from which to watch.
    async fn list(&mut self) -> Result<String, ListError> {
        (self.apply)(&self.cluster, Change::ListBegins);
        let (mut limit, mut params) = (PAGE, ListParams::default());
        loop {
            // Pages of all kinds take turns, as one may have 16 MiB. A list that fails gives the turn back by being
            // dropped.
            let turn = Arc::clone(&self.cluster.0.lists).acquire_owned().await;
            params.limit = Some(limit);
            let page = match list_page::read::<C>(&self.client, &params).await {
                Err(ListError::TooLarge) if limit > 1 => {
                    // A quarter, so that a few tries reach one object, whose size etcd bounds.
                    limit = limit.div_ceil(4);
                    continue;
                }
                page => page?,
            };
            // Grown again slowly: one page of large objects does not make thousands of small requests.
            limit = PAGE.min(limit * 2);
            for object in page.objects {
                match object.known() {
                    Ok(known) => (self.apply)(&self.cluster, Change::Listed(known)),
                    // What a list does not bring is gone at its end.
                    Err((key, unreadable)) => self.skipped(&key, &unreadable),
                }
            }
            // Before the next page is asked for, so that another kind may come in between.
            drop(turn);
            params.continue_token = page.next;
            if params.continue_token.is_none() {
                (self.apply)(&self.cluster, Change::ListEnds);
                (self.confirm)(&self.cluster);
                // From here on the watch continues: what happened during the list comes as events.
                return Ok(page.version);
            }
        }
    }

    /// Watches from a version on, until that place is forgotten or does not seem to come back.
    async fn follow(&mut self, mut version: String, backoff: &mut DefaultBackoff) {
        let mut failures = 0;
        loop {
            let before = version.clone();
            let broken = self.watch(&mut version, backoff).await;
            // Any progress at all shows that the place is good, so only failures without any count.
            if version != before {
                failures = 0;
            }
            match broken {
                Interruption::Ended => failures = 0,
                Interruption::Failed => {
                    failures += 1;
                    if failures >= MAX_RESUMES {
                        return;
                    }
                    pause(backoff).await;
                }
                Interruption::Forgotten => return,
            }
        }
    }

    async fn watch(&mut self, version: &mut String, backoff: &mut DefaultBackoff) -> Interruption {
        let params = WatchParams::default().timeout(WATCH_TIMEOUT);
        let opening = WatchStream::open::<C>(&self.client, &params, version);
        let opened = tokio::time::timeout(OPEN_TIMEOUT, opening).await;
        let mut events = match opened.unwrap_or(Err(WatchError::Late)) {
            Ok(events) => events,
            // Refused or late: nothing was read, so the version stays.
            Err(failed) => return self.failed(&failed),
        };
        // It goes on from the last version, so whatever had happened before would come now.
        (self.confirm)(&self.cluster);
        let mut has_come = false;
        loop {
            // Cancel-safe: a watch that was silent is dropped as a whole and resumed from the last version.
            let event = match tokio::time::timeout(SILENCE_TIMEOUT, events.next()).await {
                Ok(Ok(Some(event))) => event,
                Ok(Ok(None)) if has_come => return Interruption::Ended,
                // A server that ends every watch at once is a server that fails: with a pause before the next.
                Ok(Ok(None)) => return Interruption::Failed,
                Ok(Err(failed)) => return self.failed(&failed),
                Err(_) => {
                    tracing::debug!(kind = self.kind, "a watch was silent and is resumed");
                    return Interruption::Ended;
                }
            };
            has_come = true;
            // Something came, so the API server is well; the next failure is a new one.
            backoff.reset();
            // The event before the confirmation: what confirms the table must be in it.
            self.event(event, version);
            (self.confirm)(&self.cluster);
        }
    }

    fn event(&mut self, event: WatchItem<C>, version: &mut String) {
        let mut came = |resource_version: &Option<String>| {
            // Also of an object that can't be read: the place is right, and asked again it would come again.
            if let Some(resource_version) = resource_version {
                version.clone_from(resource_version);
            }
        };
        match event {
            WatchItem::Applied(object) => {
                came(&object.identity.resource_version);
                match object.known() {
                    Ok(known) => (self.apply)(&self.cluster, Change::Applied(known)),
                    Err((key, unreadable)) => {
                        self.skipped(&key, &unreadable);
                        // Its old row says something that is not true any more, so it goes.
                        (self.apply)(&self.cluster, Change::Removed(key));
                    }
                }
            }
            WatchItem::Deleted(object) => {
                came(&object.identity.resource_version);
                (self.apply)(&self.cluster, Change::Removed(object.key()));
            }
            WatchItem::Bookmark(version) => came(&Some(version)),
            WatchItem::Other => {}
        }
    }

    fn failed(&self, failed: &WatchError) -> Interruption {
        self.broke(failed);
        if failed.is_gone() {
            Interruption::Forgotten
        } else {
            Interruption::Failed
        }
    }

    fn broke(&self, failed: &(dyn Error + 'static)) {
        self.count();
        tracing::warn!(kind = self.kind, error = %causes(failed), "a watch broke off and is resumed");
    }

    fn count(&self) {
        let failures = &self.cluster.0.watch_failures;
        failures.fetch_add(1, Ordering::Relaxed);
    }

    fn skipped(&mut self, key: &ObjectKey, unreadable: &str) {
        let skipped = &self.cluster.0.unreadable;
        let total = skipped.fetch_add(1, Ordering::Relaxed) + 1;
        if self.said.is_some_and(|said| said.elapsed() < LOG_INTERVAL) {
            return;
        }
        self.said = Some(Instant::now());
        let (namespace, name) = (&*key.namespace, &*key.name);
        tracing::warn!(
            kind = self.kind,
            namespace,
            name,
            total,
            "an object can't be read and is left out: {unreadable}"
        );
    }
}

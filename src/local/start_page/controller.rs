//! Controller of the start page: lists, watches, permission reviews, retries. Out: a snapshot after each change.
//!
//! Services are listed for the whole cluster; where that is forbidden, in the default namespace and in those that can
//! be listed. What it does about a cluster that does not answer is told by its [`WatchPhase`].
//!
//! One task does it all: lists, watches and reviews are futures inside it, so the store has one writer and nothing is
//! left running when it ends.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::Api;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::model::cluster_error::ClusterError;
use super::model::objects::{ListedEndpointSlice, ListedService};
use super::model::reviews;
use super::model::rights::Rights;
use super::model::snapshot::{Snapshot, Visibility};
use super::model::store::{ClusterStore, ObjectEvent, Scope};
use super::model::watch::{ClusterChange, Watched, WatchedKind, list_and_watch};
use super::phase::{PhaseEvent, Probe, Running, WatchPhase, find_namespaces, probe_after};
use crate::local::targets::mode::ProxyMode;

/// Changes that wait for the controller.
const CHANGE_QUEUE: usize = 256;
/// Changes that come together are published together.
const PUBLISH_DEBOUNCE: Duration = Duration::from_millis(100);
/// Rights are asked for again after so long, and not sooner than this after new Services.
const RIGHTS_LIFETIME: Duration = Duration::from_secs(60);
const RIGHTS_INTERVAL: Duration = Duration::from_secs(3);
/// How long after a failure the cluster is probed, at first and at most.
const MIN_PROBE_BACKOFF: Duration = Duration::from_secs(2);
const MAX_PROBE_BACKOFF: Duration = Duration::from_secs(30);

/// Runs until it is dropped. A refresh says that somebody views the page now and asks whether an error is over.
pub(super) async fn run(
    client: Client,
    default_namespace: String,
    mut mode: watch::Receiver<ProxyMode>,
    refresh: &Notify,
    snapshots: &watch::Sender<Arc<Snapshot>>,
) {
    let first_mode = mode.borrow_and_update().clone();
    let store = ClusterStore::new(default_namespace, first_mode);
    let mut controller = Controller::new(client, store);
    loop {
        // Every branch is cancel-safe: what runs stays in its slot of the controller until it has finished.
        tokio::select! {
            Some(change) = controller.changes.recv() => controller.apply(change),
            Some(()) = controller.watches.next() => {}
            event = controller.phase.next_event() => controller.phase_ended(event),
            () = tokio::time::sleep_until(controller.rights.due), if controller.rights.review.is_none() => {
                controller.review_rights();
            }
            rights = finished(&mut controller.rights.review) => controller.rights_reviewed(rights),
            () = refresh.notified() => controller.refresh(),
            mode = changed(&mut mode) => controller.mode_changed(mode),
            () = finished(&mut controller.publication) => publish(controller.snapshot(), snapshots),
        }
    }
}

struct Controller {
    client: Client,
    store: ClusterStore,
    sender: mpsc::Sender<ClusterChange>,
    changes: mpsc::Receiver<ClusterChange>,
    watches: FuturesUnordered<Running<()>>,
    phase: WatchPhase,
    /// How long after the next failure the cluster is probed.
    probe_backoff: Duration,
    /// First lists that did not come yet.
    awaited: BTreeSet<(WatchedKind, Scope)>,
    rights: RightsRefresh,
    /// The next snapshot is published when this ends.
    publication: Option<Running<()>>,
}

/// When the user's rights are asked for again.
struct RightsRefresh {
    review: Option<Running<Result<Rights, ClusterError>>>,
    due: Instant,
    asked: Instant,
    are_known: bool,
}

impl Controller {
    fn new(client: Client, store: ClusterStore) -> Self {
        let (sender, changes) = mpsc::channel(CHANGE_QUEUE);
        let now = Instant::now();
        let mut controller = Self {
            client,
            store,
            sender,
            changes,
            watches: FuturesUnordered::new(),
            phase: WatchPhase::listing(),
            probe_backoff: MIN_PROBE_BACKOFF,
            awaited: BTreeSet::new(),
            rights: RightsRefresh {
                review: None,
                due: now + RIGHTS_LIFETIME,
                asked: now,
                are_known: false,
            },
            publication: None,
        };
        controller.watch_scope(&Scope::Cluster);
        controller
    }

    /// Lists everything anew.
    fn relist(&mut self, phase: WatchPhase) {
        self.stop_watches(phase);
        self.watch_scope(&Scope::Cluster);
    }

    fn stop_watches(&mut self, phase: WatchPhase) {
        self.watches.clear();
        self.awaited.clear();
        self.phase = phase;
        // Another channel, as what the old watches have sent says nothing about the new ones.
        (self.sender, self.changes) = mpsc::channel(CHANGE_QUEUE);
    }

    fn watch_scope(&mut self, scope: &Scope) {
        let services = Watched::<ListedService> {
            api: self.api_of(scope),
            kind: WatchedKind::Services,
            scope: scope.clone(),
            change: ClusterChange::Services,
        };
        let slices = Watched::<ListedEndpointSlice> {
            api: self.api_of(scope),
            kind: WatchedKind::EndpointSlices,
            scope: scope.clone(),
            change: ClusterChange::EndpointSlices,
        };
        for kind in [WatchedKind::Services, WatchedKind::EndpointSlices] {
            self.awaited.insert((kind, scope.clone()));
        }
        let services = list_and_watch(services, self.sender.clone());
        let slices = list_and_watch(slices, self.sender.clone());
        self.watches.push(Box::pin(services));
        self.watches.push(Box::pin(slices));
    }

    fn api_of<K>(&self, scope: &Scope) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match scope {
            Scope::Cluster => Api::all(self.client.clone()),
            Scope::Namespace(name) => Api::namespaced(self.client.clone(), name),
        }
    }

    fn apply(&mut self, change: ClusterChange) {
        match change {
            ClusterChange::Services(event) => {
                if let ObjectEvent::Listed(scope, _) = &event {
                    self.services_listed(scope.clone());
                }
                self.store.services.apply(event);
                self.services_changed();
            }
            ClusterChange::EndpointSlices(event) => {
                if let ObjectEvent::Listed(scope, _) = &event {
                    self.awaited
                        .remove(&(WatchedKind::EndpointSlices, scope.clone()));
                }
                self.store.slices.apply(event);
            }
            ClusterChange::Forbidden(WatchedKind::Services, Scope::Cluster) => {
                self.find_namespaces()
            }
            ClusterChange::Forbidden(WatchedKind::Services, scope) => {
                self.awaited.remove(&(WatchedKind::Services, scope.clone()));
                let nothing = ObjectEvent::Listed(scope, Vec::new());
                self.store.services.apply(nothing);
                self.services_changed();
            }
            // Services are shown without their endpoints, too.
            ClusterChange::Forbidden(kind, scope)
            | ClusterChange::Failed(kind @ WatchedKind::EndpointSlices, scope, _) => {
                self.awaited.remove(&(kind, scope));
            }
            ClusterChange::Failed(WatchedKind::Services, _, error) => self.failed(error),
            ClusterChange::WatchBroke => self.watch_broke(),
        }
        self.schedule_publication();
    }

    fn services_listed(&mut self, scope: Scope) {
        self.store.visibility = match scope {
            Scope::Cluster => Visibility::Cluster,
            Scope::Namespace(_) => Visibility::SomeNamespaces,
        };
        self.awaited.remove(&(WatchedKind::Services, scope));
        self.store.error = None;
        self.phase = WatchPhase::Watching { probe: None };
        self.probe_backoff = MIN_PROBE_BACKOFF;
    }

    /// Rights to all need not be asked for again, and rights to some not for each of many changes.
    fn services_changed(&mut self) {
        // Questions are about Services, so with some lists missing they would be asked twice.
        if self
            .awaited
            .iter()
            .any(|(kind, _)| *kind == WatchedKind::Services)
        {
            return;
        }
        let pause = match self.rights.are_known {
            true if self.store.rights.everywhere => return,
            true => RIGHTS_INTERVAL,
            false => Duration::ZERO,
        };
        self.rights.due = self.rights.due.min(Instant::now() + pause);
    }

    fn find_namespaces(&mut self) {
        self.store.visibility = Visibility::Nothing;
        // A refusal is a response: the cluster is there.
        self.store.error = None;
        let default_namespace = self.store.default_namespace.clone();
        let search = find_namespaces(self.client.clone(), default_namespace);
        self.stop_watches(WatchPhase::FindingNamespaces { search });
    }

    fn phase_ended(&mut self, event: PhaseEvent) {
        match event {
            PhaseEvent::NamespacesFound(found) => {
                self.phase = WatchPhase::Watching { probe: None };
                self.store.retain(&found);
                for name in found {
                    self.watch_scope(&Scope::Namespace(name));
                }
            }
            PhaseEvent::Probed(Ok(())) if self.store.error.is_some() => {
                // A cluster that answers small questions only is not asked all of them again and again.
                self.probe_backoff = (self.probe_backoff * 2).min(MAX_PROBE_BACKOFF);
                self.relist(WatchPhase::listing());
            }
            PhaseEvent::Probed(Ok(())) => self.phase = WatchPhase::Watching { probe: None },
            PhaseEvent::Probed(Err(error)) => {
                // The probe that ended is no longer there, so that the next one starts.
                self.phase = WatchPhase::Watching { probe: None };
                self.failed(error);
            }
            // The lists go on: one may come yet.
            PhaseEvent::SilenceTimeout => {
                self.phase = WatchPhase::silent();
                self.store.error = Some(ClusterError::Silent);
            }
            PhaseEvent::RelistTimeout => self.relist(WatchPhase::silent()),
        }
        self.schedule_publication();
    }

    /// A list or a probe failed. Lists are tried again by their watches; a probe sees sooner that the cluster is back.
    fn failed(&mut self, error: ClusterError) {
        // Refused credentials are not tried again by themselves: each try could ask a person something.
        if error == ClusterError::Unauthorized {
            self.stop_watches(WatchPhase::LoggedOut);
            self.store.error = Some(error);
            return;
        }
        // Moved out and put back, as the probe that runs has to go on in the new phase.
        let probe = match std::mem::replace(&mut self.phase, WatchPhase::LoggedOut) {
            // Nothing runs that could fail.
            WatchPhase::LoggedOut => return,
            WatchPhase::Watching { probe: Some(probe) } | WatchPhase::Unreachable { probe } => {
                probe
            }
            WatchPhase::Watching { probe: None }
            | WatchPhase::Listing { .. }
            | WatchPhase::FindingNamespaces { .. }
            | WatchPhase::Silent { .. } => self.probe_after(self.probe_backoff),
        };
        self.phase = WatchPhase::Unreachable { probe };
        self.store.error = Some(error);
    }

    /// A watch that breaks may be resumed at once, so only a probe that fails as well makes it an error.
    fn watch_broke(&mut self) {
        if matches!(self.phase, WatchPhase::Watching { probe: None }) {
            let probe = Some(self.probe_after(Duration::ZERO));
            self.phase = WatchPhase::Watching { probe };
        }
    }

    fn probe_after(&self, delay: Duration) -> Probe {
        // A small question that this user may ask, so that a refusal is not taken for an outage.
        let api = match self.store.visibility {
            Visibility::Cluster => Api::<Service>::all(self.client.clone()),
            Visibility::SomeNamespaces | Visibility::Nothing => {
                Api::namespaced(self.client.clone(), &self.store.default_namespace)
            }
        };
        probe_after(delay, api)
    }

    fn review_rights(&mut self) {
        self.rights.due = Instant::now() + RIGHTS_LIFETIME;
        let Some(group) = self.store.mode.api_group() else {
            return;
        };
        let questions = self.store.questions();
        let review = reviews::review(self.client.clone(), group, questions);
        self.rights.review = Some(Box::pin(review));
        self.rights.asked = Instant::now();
    }

    fn rights_reviewed(&mut self, rights: Result<Rights, ClusterError>) {
        match rights {
            Ok(rights) => self.store.rights = rights,
            // A watch goes on with credentials that have expired since.
            Err(error) => self.failed(error),
        }
        self.rights.are_known = true;
        self.schedule_publication();
    }

    /// Another proxy has other rights.
    fn mode_changed(&mut self, mode: ProxyMode) {
        self.store.mode = mode;
        self.store.rights = Rights::default();
        // A review of the other proxy's rights is dropped, and so never overwrites the new ones.
        self.rights.review = None;
        self.rights.are_known = false;
        self.services_changed();
        self.schedule_publication();
    }

    /// Somebody views the page, who is told of an error only if it is still there, and of new rights and expired
    /// credentials soon.
    fn refresh(&mut self) {
        // The error is cleared first and published: the next snapshot says whether it is still there.
        if self.store.error.take().is_some() {
            self.rights.are_known = false;
            self.relist(WatchPhase::listing());
            // At once, as the page waits for it.
            self.publication = Some(Box::pin(std::future::ready(())));
        } else if self.rights.asked.elapsed() >= RIGHTS_INTERVAL {
            self.rights.due = self.rights.due.min(Instant::now());
        }
    }

    fn schedule_publication(&mut self) {
        if self.publication.is_none() {
            self.publication = Some(Box::pin(tokio::time::sleep(PUBLISH_DEBOUNCE)));
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let is_searching = matches!(self.phase, WatchPhase::FindingNamespaces { .. });
        self.store.settled = self.awaited.is_empty() && !is_searching && self.rights.are_known;
        self.store.snapshot()
    }
}

/// Waits for a slot's future, and empties the slot; an empty slot never finishes.
async fn finished<T>(slot: &mut Option<Running<T>>) -> T {
    let Some(running) = slot else {
        return pending().await;
    };
    let outcome = running.await;
    // Emptied at once: a future that has finished must not be polled again.
    *slot = None;
    outcome
}

async fn changed(mode: &mut watch::Receiver<ProxyMode>) -> ProxyMode {
    // The sender lives as long as the program; without it the mode never changes again.
    if mode.changed().await.is_err() {
        return pending().await;
    }
    mode.borrow_and_update().clone()
}

fn publish(snapshot: Snapshot, snapshots: &watch::Sender<Arc<Snapshot>>) {
    snapshots.send_if_modified(|published| {
        let is_new = **published != snapshot;
        if is_new {
            *published = Arc::new(snapshot);
        }
        is_new
    });
}

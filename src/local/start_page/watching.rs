//! Follows the cluster as long as somebody looks. Out: a snapshot after each change.
//!
//! One task does it all: lists, watches and reviews are futures inside it, so the book has one writer and nothing is left
//! running when it ends.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use kube::Client;
use tokio::sync::{Notify, mpsc, watch};

use super::controller::Keeper;
use super::model::snapshot::Snapshot;
use super::model::store::Book;
use super::start::WayFact;

/// Changes that wait to be written down.
const CHANGES: usize = 256;

pub(super) type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Watches until it is dropped. A knock says that somebody who looks now wants to know whether trouble is over.
pub(super) async fn watch(
    client: Client,
    default_namespace: String,
    mut way: watch::Receiver<WayFact>,
    knock: &Notify,
    snapshots: &watch::Sender<Arc<Snapshot>>,
) {
    let (sender, mut changes) = mpsc::channel(CHANGES);
    let fact = way.borrow_and_update().clone();
    let mut keeper = Keeper::new(client, Book::new(default_namespace, fact), sender);
    keeper.begin();
    loop {
        // Every branch is cancel-safe: what runs stays in its slot of the keeper until it has finished.
        tokio::select! {
            Some(change) = changes.recv() => keeper.take_in(change),
            Some(()) = keeper.watches.next() => {}
            found = finished(&mut keeper.namespaces) => keeper.namespaces_found(&found),
            () = tokio::time::sleep_until(keeper.rights_due), if keeper.review.is_none() => {
                keeper.ask_for_rights();
            }
            rights = finished(&mut keeper.review) => keeper.rights_found(rights),
            pulse = finished(&mut keeper.pulse) => keeper.pulse_felt(pulse),
            () = finished(&mut keeper.silence) => keeper.silent(),
            () = knock.notified() => keeper.knocked(),
            fact = changed(&mut way) => keeper.goes(fact),
            () = finished(&mut keeper.publication) => publish(keeper.snapshot(), snapshots),
        }
    }
}

/// What a slot's future comes to; an empty slot never finishes.
async fn finished<T>(slot: &mut Option<Running<T>>) -> T {
    let Some(running) = slot else {
        return pending().await;
    };
    let outcome = running.await;
    *slot = None;
    outcome
}

async fn changed(way: &mut watch::Receiver<WayFact>) -> WayFact {
    if way.changed().await.is_err() {
        return pending().await;
    }
    way.borrow_and_update().clone()
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

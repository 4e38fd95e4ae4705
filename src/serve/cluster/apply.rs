//! The write side: what a list or a watch tells of an object goes into the tables, and into what is derived from them.
//!
//! Each kind has one writer, the task that follows it; so nothing here is done twice at the same time.

use std::sync::Arc;

use super::change::Change;
use super::endpoints::RawSlice;
use super::events::reference;
use super::nodes::{Node, RawNode};
use super::object::ReadObject;
use super::pods::{Pod, RawPod};
use super::services::{RawService, Service};
use super::state::Cluster;
use super::table::ObjectKey;

impl Cluster {
    pub(super) fn apply_pod(&self, change: Change<RawPod>) {
        let (table, addresses) = (&self.0.pods, &self.0.addresses);
        match change {
            Change::ListBegins => table.list_begins(),
            Change::Listed(known) => {
                let key = known.key.clone();
                let pod = Arc::new(Pod::from(known));
                let before = table.insert_listed(key, Arc::clone(&pod));
                addresses.replace(before.as_deref(), Some(&pod));
            }
            Change::ListEnds => {
                for gone in table.list_ends() {
                    addresses.replace(Some(&gone), None);
                }
            }
            Change::Applied(known) => {
                let key = known.key.clone();
                let pod = Arc::new(Pod::from(known));
                let before = table.insert(key, Arc::clone(&pod));
                addresses.replace(before.as_deref(), Some(&pod));
            }
            Change::Removed(key) => {
                if let Some(gone) = table.remove(&key) {
                    addresses.replace(Some(&gone), None);
                }
            }
        }
    }

    pub(super) fn confirm_pods(&self) {
        self.0.pods.confirm();
    }

    pub(super) fn apply_service(&self, change: Change<RawService>) {
        let table = &self.0.services;
        match change {
            Change::ListBegins => table.list_begins(),
            Change::Listed(known) => {
                let (key, service) = self.judged(known);
                // Noted before the row is there: a reader must not see the Service without its isolation.
                self.0.isolated.note(&key, Some(&service));
                table.insert_listed(key, service);
            }
            Change::ListEnds => {
                table.list_ends();
                let isolated = &self.0.isolated;
                // After the table, so that what was not listed is gone from it.
                isolated.keep(|namespace, name| table.get(namespace, name).is_some());
            }
            Change::Applied(known) => {
                let (key, service) = self.judged(known);
                self.0.isolated.note(&key, Some(&service));
                table.insert(key, service);
            }
            Change::Removed(key) => {
                self.0.isolated.note(&key, None);
                table.remove(&key);
            }
        }
    }

    pub(super) fn confirm_services(&self) {
        self.0.services.confirm();
    }

    /// A Service as it is kept, after it was said what is wrong with it.
    fn judged(&self, known: ReadObject<RawService>) -> (ObjectKey, Arc<Service>) {
        let (key, identity) = (known.key.clone(), known.identity.clone());
        let service = Service::from(known);
        if !service.warnings.is_empty() {
            // Before the new row is in, so that only new sentences are told.
            let before = self.0.services.get(&key.namespace, &key.name);
            let about = reference(identity);
            self.0.events.record(&about, &service, before.as_deref());
        }
        (key, Arc::new(service))
    }

    pub(super) fn apply_node(&self, change: Change<RawNode>) {
        let (table, ports) = (&self.0.nodes, &self.0.kubelets);
        match change {
            Change::ListBegins => table.list_begins(),
            Change::Listed(known) => {
                let key = known.key.clone();
                let node = Arc::new(Node::from(known));
                let before = table.insert_listed(key, Arc::clone(&node));
                ports.replace(before.as_deref(), Some(&node));
            }
            Change::ListEnds => {
                for gone in table.list_ends() {
                    ports.replace(Some(&gone), None);
                }
            }
            Change::Applied(known) => {
                let key = known.key.clone();
                let node = Arc::new(Node::from(known));
                let before = table.insert(key, Arc::clone(&node));
                ports.replace(before.as_deref(), Some(&node));
            }
            Change::Removed(key) => {
                if let Some(gone) = table.remove(&key) {
                    ports.replace(Some(&gone), None);
                }
            }
        }
    }

    pub(super) fn confirm_nodes(&self) {
        self.0.nodes.confirm();
    }

    pub(super) fn apply_slice(&self, change: Change<RawSlice>) {
        self.0.slices_of.apply(&self.0.slices, change);
    }

    pub(super) fn confirm_slices(&self) {
        self.0.slices.confirm();
    }
}

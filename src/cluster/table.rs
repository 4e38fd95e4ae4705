//! Objects of one kind by namespace and name: one task writes, everybody reads without waiting.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::quality::RandomState;
use papaya::{Equivalent, HashMap};

/// What one object is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
}

/// A key that is only looked up; it hashes as a [`Key`] does.
#[derive(Hash)]
struct Sought<'a> {
    namespace: &'a str,
    name: &'a str,
}

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.namespace == &*key.namespace && self.name == &*key.name
    }
}

impl Key {
    pub(super) fn new(namespace: Option<&str>, name: &str) -> Self {
        Self {
            namespace: namespace.unwrap_or_default().into(),
            name: name.into(),
        }
    }
}

/// The objects, and what a list in progress has brought so far.
#[derive(Debug)]
pub(super) struct Table<T> {
    rows: HashMap<Key, Arc<T>, RandomState>,
    /// Only the kind's own watch task takes it, so nobody ever waits.
    listed: Mutex<HashSet<Key>>,
    synced: AtomicBool,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: HashMap::default(),
            listed: Mutex::default(),
            synced: AtomicBool::new(false),
        }
    }
}

impl<T: Send + Sync + 'static> Table<T> {
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.rows.pin().get(&Sought { namespace, name }).cloned()
    }

    pub(super) fn synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    pub(super) fn insert(&self, key: Key, row: T) {
        self.rows.pin().insert(key, Arc::new(row));
    }

    pub(super) fn remove(&self, key: &Key) {
        self.rows.pin().remove(key);
    }

    /// A whole list begins: what it does not bring is gone at its end.
    pub(super) fn list_begins(&self) {
        self.listed().clear();
    }

    pub(super) fn listed_one(&self, key: Key, row: T) {
        self.listed().insert(key.clone());
        self.insert(key, row);
    }

    /// The list is whole: whatever was not in it no longer exists.
    pub(super) fn list_ends(&self) {
        let listed = std::mem::take(&mut *self.listed());
        self.rows.pin().retain(|key, _| listed.contains(key));
        self.mark_synced();
    }

    pub(super) fn mark_synced(&self) {
        self.synced.store(true, Ordering::Release);
    }

    fn listed(&self) -> std::sync::MutexGuard<'_, HashSet<Key>> {
        self.listed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

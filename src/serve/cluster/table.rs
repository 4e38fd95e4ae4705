//! Objects of one kind by namespace and name: one task writes, everybody reads without waiting.
//!
//! A table knows when it was last confirmed: by a whole list, by an event, by a bookmark. State that nobody confirms
//! any more is not believed for long, as addresses move on to other pods.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::quality::RandomState;
use papaya::{Equivalent, HashMap};
use tokio::time::Instant;

/// Past this, an object is asked for at the API server before anything of it is dialled. Bookmarks come about every
/// minute, so a watch that is alive never reaches it.
pub(super) const CONFIRM_AFTER: Duration = Duration::from_secs(100);

/// Past this, the table serves nothing and the server is not ready.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(300);

/// What one object is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ObjectKey {
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
}

/// A key that is only looked up; it hashes as a [`ObjectKey`] does.
#[derive(Hash)]
struct KeyRef<'a> {
    namespace: &'a str,
    name: &'a str,
}

impl Equivalent<ObjectKey> for KeyRef<'_> {
    fn equivalent(&self, key: &ObjectKey) -> bool {
        self.namespace == &*key.namespace && self.name == &*key.name
    }
}

impl ObjectKey {
    pub(super) fn new(namespace: Option<&str>, name: &str) -> Self {
        Self {
            namespace: namespace.unwrap_or_default().into(),
            name: name.into(),
        }
    }
}

/// How far a table can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Freshness {
    /// The watch is alive.
    Current,
    /// Nothing was heard of the watch for [`CONFIRM_AFTER`].
    Unconfirmed,
    /// Nothing was heard for [`STALE_AFTER`], or there was no whole list yet.
    Stale,
}

/// The objects, and what a list in progress has brought so far.
#[derive(Debug)]
pub(super) struct ObjectTable<T> {
    rows: HashMap<ObjectKey, Arc<T>, RandomState>,
    /// Only the kind's own watch task takes it, so nobody ever waits.
    listed: Mutex<HashSet<ObjectKey>>,
    made: Instant,
    /// Milliseconds from `made` to the last confirmation, and one more; 0 before the first whole list.
    confirmed: AtomicU64,
}

impl<T> Default for ObjectTable<T> {
    fn default() -> Self {
        Self {
            rows: HashMap::default(),
            listed: Mutex::default(),
            made: Instant::now(),
            confirmed: AtomicU64::new(0),
        }
    }
}

impl<T: Send + Sync + 'static> ObjectTable<T> {
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.rows.pin().get(&KeyRef { namespace, name }).cloned()
    }

    /// As [`ObjectTable::get`], but only while the watch is alive.
    pub(super) fn confirmed(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        let is_current = self.freshness(Instant::now()) == Freshness::Current;
        is_current.then(|| self.get(namespace, name)).flatten()
    }

    pub(super) fn freshness(&self, now: Instant) -> Freshness {
        let confirmed = self.confirmed.load(Ordering::Acquire);
        // Zero is before the first whole list, and no time.
        let Some(after) = confirmed.checked_sub(1) else {
            return Freshness::Stale;
        };
        let confirmed = self.made + Duration::from_millis(after);
        let age = now.saturating_duration_since(confirmed);
        if age < CONFIRM_AFTER {
            Freshness::Current
        } else if age < STALE_AFTER {
            Freshness::Unconfirmed
        } else {
            Freshness::Stale
        }
    }

    /// A sign of life of the watch. Before the first whole list it confirms nothing.
    pub(super) fn confirm(&self) {
        // An event before the first list is whole says nothing of what is missing.
        if self.confirmed.load(Ordering::Relaxed) > 0 {
            self.confirm_now();
        }
    }

    fn confirm_now(&self) {
        let after = u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.confirmed.store(after + 1, Ordering::Release);
    }

    /// Puts a row in; the one that stood there before.
    pub(super) fn insert(&self, key: ObjectKey, row: Arc<T>) -> Option<Arc<T>> {
        self.rows.pin().insert(key, row).cloned()
    }

    /// Takes a row out, and returns it.
    pub(super) fn remove(&self, key: &ObjectKey) -> Option<Arc<T>> {
        self.rows.pin().remove(key).cloned()
    }

    /// A whole list begins: what it does not bring is gone at its end.
    pub(super) fn list_begins(&self) {
        self.listed().clear();
    }

    /// As [`ObjectTable::insert`], for a list.
    pub(super) fn insert_listed(&self, key: ObjectKey, row: Arc<T>) -> Option<Arc<T>> {
        self.listed().insert(key.clone());
        self.insert(key, row)
    }

    /// The list is whole: whatever was not in it no longer exists. Those that are gone are returned.
    pub(super) fn list_ends(&self) -> Vec<Arc<T>> {
        // Taken out before the rows are looked through, so the lock is held for one move.
        let listed = std::mem::take(&mut *self.listed());
        let rows = self.rows.pin();
        let gone = rows
            .iter()
            .filter(|(key, _)| !listed.contains(*key))
            .map(|(key, _)| key.clone());
        let gone: Vec<ObjectKey> = gone.collect();
        let gone = gone.iter().filter_map(|key| rows.remove(key).cloned());
        let gone = gone.collect();
        // Last, as readers believe the table from here on.
        self.confirm_now();
        gone
    }

    pub(super) fn mark_confirmed(&self) {
        self.confirm_now();
    }

    fn listed(&self) -> std::sync::MutexGuard<'_, HashSet<ObjectKey>> {
        self.listed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

//! The objects, every change of them with its resourceVersion, and who the tokens belong to.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

/// Changes that are remembered; a watch that asks for older ones gets 410.
const REMEMBERED: usize = 1000;

/// Who a token belongs to.
#[derive(Debug, Clone)]
pub struct Account {
    pub name: String,
    pub groups: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Change {
    pub version: u64,
    pub resource: String,
    pub kind: &'static str,
    pub object: Value,
}

#[derive(Debug, Default)]
struct Inner {
    version: u64,
    objects: BTreeMap<(String, String, String), Arc<Value>>,
    changes: Vec<Change>,
    forgotten: u64,
    tokens: HashMap<String, Account>,
}

#[derive(Debug, Default)]
pub struct Store {
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

impl Store {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn token(&self, token: &str, name: &str, groups: &[&str]) {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        self.inner().tokens.insert(
            token.to_owned(),
            Account {
                name: name.to_owned(),
                groups,
            },
        );
    }

    pub fn account(&self, token: &str) -> Option<Account> {
        self.inner().tokens.get(token).cloned()
    }

    pub fn forget_token(&self, token: &str) {
        self.inner().tokens.remove(token);
    }

    /// Creates or replaces an object.
    pub fn put(&self, resource: &str, mut object: Value) -> Value {
        let mut inner = self.inner();
        inner.version += 1;
        let version = inner.version;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        let key = (
            resource.to_owned(),
            text(&object, "namespace").to_owned(),
            text(&object, "name").to_owned(),
        );
        let kind = if inner
            .objects
            .insert(key, Arc::new(object.clone()))
            .is_some()
        {
            "MODIFIED"
        } else {
            "ADDED"
        };
        inner.record(Change {
            version,
            resource: resource.to_owned(),
            kind,
            object: object.clone(),
        });
        drop(inner);
        self.changed.send_replace(version);
        object
    }

    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let mut inner = self.inner();
        let key = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        let mut object = Arc::unwrap_or_clone(inner.objects.remove(&key)?);
        inner.version += 1;
        let version = inner.version;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        inner.record(Change {
            version,
            resource: resource.to_owned(),
            kind: "DELETED",
            object: object.clone(),
        });
        drop(inner);
        self.changed.send_replace(version);
        Some(object)
    }

    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.inner()
            .objects
            .get(&(resource.to_owned(), namespace.to_owned(), name.to_owned()))
            .cloned()
    }

    /// At most `limit` objects of a resource after the first `skip`, the version of the list, and how many are left.
    pub fn list(&self, resource: &str, skip: usize, limit: usize) -> (Vec<Arc<Value>>, u64, usize) {
        let inner = self.inner();
        let first = (resource.to_owned(), String::new(), String::new());
        let of_kind = || {
            inner
                .objects
                .range(&first..)
                .take_while(|(key, _)| key.0 == resource)
                .map(|(_, object)| object)
        };
        let items: Vec<Arc<Value>> = of_kind().skip(skip).take(limit).cloned().collect();
        let left = of_kind().count().saturating_sub(skip + items.len());
        (items, inner.version, left)
    }

    /// The changes of a resource after a version; `None` when they are forgotten.
    pub fn since(&self, resource: &str, version: u64) -> Option<Vec<Change>> {
        let inner = self.inner();
        (version >= inner.forgotten).then(|| {
            let new = inner
                .changes
                .iter()
                .filter(|change| change.version > version && change.resource == resource);
            new.cloned().collect()
        })
    }

    /// Forgets every change so far, so that watches have to list anew.
    pub fn forget_changes(&self) {
        let mut inner = self.inner();
        inner.forgotten = inner.version;
        inner.changes.clear();
    }

    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

impl Inner {
    fn record(&mut self, change: Change) {
        self.changes.push(change);
        if self.changes.len() > REMEMBERED {
            self.forgotten = self.changes.remove(0).version;
        }
    }
}

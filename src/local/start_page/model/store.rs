//! What is known of the cluster. In: what watches and reviews tell, one after another. Out: a [`Snapshot`].
//!
//! A list replaces everything of its scope, so that what went away while nobody watched is gone.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster_error::ClusterError;
use super::links;
use super::objects::{ObjectKey, StoredService, StoredSlice};
use super::rights::Rights;
use super::snapshot::{
    EndpointStatus, ShownNamespace, ShownPort, ShownService, Snapshot, Visibility,
};
use crate::local::targets::mode::ProxyMode;

/// Where something is listed and watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::local::start_page) enum Scope {
    Cluster,
    Namespace(String),
}

/// What a watch tells.
#[derive(Debug)]
pub(in crate::local::start_page) enum ObjectEvent<T> {
    /// All that a list holds; changes follow.
    Listed(Scope, Vec<(ObjectKey, T)>),
    Applied(ObjectKey, T),
    Deleted(ObjectKey),
}

/// Objects of one kind, and in which scopes they are known.
#[derive(Debug)]
pub(in crate::local::start_page) struct ObjectStore<T> {
    objects: BTreeMap<ObjectKey, T>,
    listed: BTreeSet<Scope>,
}

#[derive(Debug)]
pub(in crate::local::start_page) struct ClusterStore {
    pub(in crate::local::start_page) services: ObjectStore<StoredService>,
    pub(in crate::local::start_page) slices: ObjectStore<StoredSlice>,
    pub(in crate::local::start_page) rights: Rights,
    pub(in crate::local::start_page) mode: ProxyMode,
    pub(in crate::local::start_page) default_namespace: String,
    pub(in crate::local::start_page) visibility: Visibility,
    pub(in crate::local::start_page) settled: bool,
    pub(in crate::local::start_page) error: Option<ClusterError>,
}

impl<T> Default for ObjectStore<T> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            listed: BTreeSet::new(),
        }
    }
}

impl<T> ObjectStore<T> {
    pub(in crate::local::start_page) fn apply(&mut self, event: ObjectEvent<T>) {
        match event {
            ObjectEvent::Listed(scope, objects) => {
                // What is not in a new list went away while nobody watched.
                self.objects.retain(|key, _| match &scope {
                    Scope::Cluster => false,
                    Scope::Namespace(name) => key.namespace != *name,
                });
                self.objects.extend(objects);
                self.listed.insert(scope);
            }
            ObjectEvent::Applied(key, object) => {
                self.objects.insert(key, object);
            }
            ObjectEvent::Deleted(key) => {
                self.objects.remove(&key);
            }
        }
    }

    fn retain(&mut self, namespaces: &[String]) {
        let kept = |key: &ObjectKey| namespaces.contains(&key.namespace);
        self.objects.retain(|key, _| kept(key));
        // Nothing is listed until the namespaces are, and an old list must not count for that.
        self.listed.clear();
    }

    fn knows(&self, namespace: &str) -> bool {
        self.listed.contains(&Scope::Cluster)
            || self
                .listed
                .contains(&Scope::Namespace(namespace.to_owned()))
    }
}

impl ClusterStore {
    pub(in crate::local::start_page) fn new(default_namespace: String, mode: ProxyMode) -> Self {
        Self {
            services: ObjectStore::default(),
            slices: ObjectStore::default(),
            rights: Rights::default(),
            mode,
            default_namespace,
            visibility: Visibility::default(),
            settled: false,
            error: None,
        }
    }

    /// Forgets all other namespaces.
    pub(in crate::local::start_page) fn retain(&mut self, namespaces: &[String]) {
        self.services.retain(namespaces);
        self.slices.retain(namespaces);
    }

    /// What rights are to be asked for: the name segments of each namespace.
    pub(in crate::local::start_page) fn questions(&self) -> BTreeMap<String, Vec<String>> {
        let mut questions = BTreeMap::<String, Vec<String>>::new();
        for (key, service) in &self.services.objects {
            let segments = links::segments(key, service, &self.mode);
            let asked = questions.entry(key.namespace.clone()).or_default();
            asked.extend(segments);
        }
        questions
    }

    pub(in crate::local::start_page) fn snapshot(&self) -> Snapshot {
        let statuses = self.statuses();
        let mut namespaces = Vec::<ShownNamespace>::new();
        for (key, service) in &self.services.objects {
            let service = self.service(key, service, &statuses);
            match namespaces.last_mut() {
                Some(last) if last.name == key.namespace => last.services.push(service),
                _ => namespaces.push(ShownNamespace {
                    name: key.namespace.clone(),
                    services: vec![service],
                }),
            }
        }
        // A stable sort: the others stay as they are.
        namespaces.sort_by_key(|one| one.name != self.default_namespace);
        Snapshot {
            namespaces,
            visibility: self.visibility,
            group: self.mode.api_group(),
            settled: self.settled,
            error: self.error.clone(),
        }
    }

    fn service(
        &self,
        key: &ObjectKey,
        service: &StoredService,
        statuses: &BTreeMap<(&str, &str), EndpointStatus>,
    ) -> ShownService {
        let found = statuses.get(&(&*key.namespace, &*key.name)).copied();
        // A DNS name has no endpoints to wait for.
        let status = match found {
            _ if service.external_name => EndpointStatus::ExternalName,
            Some(status) => status,
            None if self.slices.knows(&key.namespace) => {
                EndpointStatus::Endpoints { ready: 0, all: 0 }
            }
            None => EndpointStatus::Unknown,
        };
        let port = |port| ShownPort {
            link: links::link(key, service, port, &self.mode, &self.rights),
            name: port.name.clone(),
            number: port.number,
        };
        ShownService {
            name: key.name.clone(),
            ports: service.ports.iter().map(port).collect(),
            status,
        }
    }

    /// How many endpoints of each Service are ready, each counted once.
    fn statuses(&self) -> BTreeMap<(&str, &str), EndpointStatus> {
        let mut backing = BTreeMap::<(&str, &str), BTreeMap<&str, bool>>::new();
        for (key, slice) in &self.slices.objects {
            let known = backing.entry((&key.namespace, &slice.service)).or_default();
            for endpoint in &slice.endpoints {
                // Ready in one slice is ready: a pod of two address families is in both.
                *known.entry(&endpoint.backing).or_default() |= endpoint.ready;
            }
        }
        let count = |endpoints: BTreeMap<&str, bool>| EndpointStatus::Endpoints {
            ready: endpoints.values().filter(|ready| **ready).count(),
            all: endpoints.len(),
        };
        let counted = backing.into_iter().map(|(key, all)| (key, count(all)));
        counted.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::config::TargetScheme;
    use crate::local::start_page::model::objects::{StoredEndpoint, StoredPort};

    fn key(namespace: &str, name: &str) -> ObjectKey {
        ObjectKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn service() -> StoredService {
        StoredService {
            external_name: false,
            ports: vec![StoredPort {
                name: String::new(),
                number: 80,
                transport: "TCP".to_owned(),
                scheme: TargetScheme::Http,
            }],
        }
    }

    fn slice(service: &str, endpoints: &[(&str, bool)]) -> StoredSlice {
        let endpoint = |(backing, ready): &(&str, bool)| StoredEndpoint {
            backing: (*backing).to_owned(),
            ready: *ready,
        };
        StoredSlice {
            service: service.to_owned(),
            endpoints: endpoints.iter().map(endpoint).collect(),
        }
    }

    fn store() -> ClusterStore {
        ClusterStore::new(
            "demo".to_owned(),
            ProxyMode::Throughway("throughway.dev".into()),
        )
    }

    fn names(store: &ClusterStore) -> Vec<String> {
        let namespaces = store.snapshot().namespaces.into_iter();
        namespaces
            .flat_map(|one| {
                let services = one.services.into_iter();
                services.map(move |service| format!("{}/{}", one.name, service.name))
            })
            .collect()
    }

    #[test]
    fn a_list_forgets_what_is_no_longer_in_its_scope() {
        let mut store = store();
        let all = [key("a", "web"), key("b", "web"), key("demo", "web")];
        let all = all.map(|key| (key, service())).to_vec();
        store
            .services
            .apply(ObjectEvent::Listed(Scope::Cluster, all));
        assert_eq!(names(&store), ["demo/web", "a/web", "b/web"]);
        let some = vec![(key("a", "new"), service())];
        let scope = Scope::Namespace("a".to_owned());
        store.services.apply(ObjectEvent::Listed(scope, some));
        assert_eq!(names(&store), ["demo/web", "a/new", "b/web"]);
        store
            .services
            .apply(ObjectEvent::Deleted(key("demo", "web")));
        store
            .services
            .apply(ObjectEvent::Applied(key("b", "db"), service()));
        assert_eq!(names(&store), ["a/new", "b/db", "b/web"]);
        let none = ObjectEvent::Listed(Scope::Cluster, Vec::new());
        store.services.apply(none);
        assert_eq!(names(&store), Vec::<String>::new());
    }

    #[test]
    fn a_pod_in_two_slices_is_one_endpoint() {
        let mut store = store();
        let services = ["web", "db", "none"].map(|name| (key("demo", name), service()));
        let listed = ObjectEvent::Listed(Scope::Cluster, services.to_vec());
        store.services.apply(listed);
        let status = |store: &ClusterStore| {
            let services = store.snapshot().namespaces.remove(0).services;
            let statuses = services.into_iter().map(|one| (one.name, one.status));
            statuses.collect::<Vec<_>>()
        };
        let all = |status| ["db", "none", "web"].map(|name| (name.to_owned(), status));
        assert_eq!(status(&store), all(EndpointStatus::Unknown));
        let slices = vec![
            (
                key("demo", "web-4"),
                slice("web", &[("Pod/web-0", true), ("Pod/web-1", false)]),
            ),
            (
                key("demo", "web-6"),
                slice("web", &[("Pod/web-0", true), ("Pod/web-2", true)]),
            ),
            (key("demo", "db-4"), slice("db", &[("Pod/db-0", false)])),
            (key("other", "web-4"), slice("web", &[("Pod/x", true)])),
        ];
        let listed = ObjectEvent::Listed(Scope::Cluster, slices);
        store.slices.apply(listed);
        let endpoints = |ready, all| EndpointStatus::Endpoints { ready, all };
        assert_eq!(
            status(&store),
            [
                ("db".to_owned(), endpoints(0, 1)),
                ("none".to_owned(), endpoints(0, 0)),
                ("web".to_owned(), endpoints(2, 3)),
            ]
        );
    }
}

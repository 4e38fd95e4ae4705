//! What is known of the cluster. In: what watches and reviews tell, one after another. Out: a [`Snapshot`].
//!
//! A list replaces everything of its scope, so that what went away while nobody watched is gone.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster_error::Trouble;
use super::links;
use super::objects::{KeptService, KeptSlice, Key};
use super::rights::Rights;
use super::snapshot::{Extent, Namespace, Port, Service, Snapshot, Standing};
use crate::local::start_page::start::WayFact;

/// Where something is listed and watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::local::start_page) enum Scope {
    Cluster,
    Namespace(String),
}

/// What a watch tells.
#[derive(Debug)]
pub(in crate::local::start_page) enum News<T> {
    /// All that a list holds; changes follow.
    Listed(Scope, Vec<(Key, T)>),
    Put(Key, T),
    Gone(Key),
}

/// Objects of one kind, and in which scopes they are known.
#[derive(Debug)]
pub(in crate::local::start_page) struct Shelf<T> {
    objects: BTreeMap<Key, T>,
    listed: BTreeSet<Scope>,
}

#[derive(Debug)]
pub(in crate::local::start_page) struct Book {
    pub(in crate::local::start_page) services: Shelf<KeptService>,
    pub(in crate::local::start_page) slices: Shelf<KeptSlice>,
    pub(in crate::local::start_page) rights: Rights,
    pub(in crate::local::start_page) way: WayFact,
    pub(in crate::local::start_page) default_namespace: String,
    pub(in crate::local::start_page) extent: Extent,
    pub(in crate::local::start_page) settled: bool,
    pub(in crate::local::start_page) trouble: Option<Trouble>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            listed: BTreeSet::new(),
        }
    }
}

impl<T> Shelf<T> {
    pub(in crate::local::start_page) fn take_in(&mut self, news: News<T>) {
        match news {
            News::Listed(scope, objects) => {
                self.objects.retain(|key, _| match &scope {
                    Scope::Cluster => false,
                    Scope::Namespace(name) => key.namespace != *name,
                });
                self.objects.extend(objects);
                self.listed.insert(scope);
            }
            News::Put(key, object) => {
                self.objects.insert(key, object);
            }
            News::Gone(key) => {
                self.objects.remove(&key);
            }
        }
    }

    fn keep_only(&mut self, namespaces: &[String]) {
        let kept = |key: &Key| namespaces.contains(&key.namespace);
        self.objects.retain(|key, _| kept(key));
        self.listed.clear();
    }

    fn knows(&self, namespace: &str) -> bool {
        self.listed.contains(&Scope::Cluster)
            || self
                .listed
                .contains(&Scope::Namespace(namespace.to_owned()))
    }
}

impl Book {
    pub(in crate::local::start_page) fn new(default_namespace: String, way: WayFact) -> Self {
        Self {
            services: Shelf::default(),
            slices: Shelf::default(),
            rights: Rights::default(),
            way,
            default_namespace,
            extent: Extent::default(),
            settled: false,
            trouble: None,
        }
    }

    /// Forgets all other namespaces.
    pub(in crate::local::start_page) fn keep_only(&mut self, namespaces: &[String]) {
        self.services.keep_only(namespaces);
        self.slices.keep_only(namespaces);
    }

    /// What rights are to be asked for: the name segments of each namespace.
    pub(in crate::local::start_page) fn questions(&self) -> BTreeMap<String, Vec<String>> {
        let mut questions = BTreeMap::<String, Vec<String>>::new();
        for (key, service) in &self.services.objects {
            let segments = links::segments(key, service, &self.way);
            let asked = questions.entry(key.namespace.clone()).or_default();
            asked.extend(segments);
        }
        questions
    }

    pub(in crate::local::start_page) fn snapshot(&self) -> Snapshot {
        let standings = self.standings();
        let mut namespaces = Vec::<Namespace>::new();
        for (key, service) in &self.services.objects {
            let service = self.service(key, service, &standings);
            match namespaces.last_mut() {
                Some(last) if last.name == key.namespace => last.services.push(service),
                _ => namespaces.push(Namespace {
                    name: key.namespace.clone(),
                    services: vec![service],
                }),
            }
        }
        // A stable sort: the others stay as they are.
        namespaces.sort_by_key(|one| one.name != self.default_namespace);
        Snapshot {
            namespaces,
            extent: self.extent,
            group: self.way.group(),
            settled: self.settled,
            trouble: self.trouble.clone(),
        }
    }

    fn service(
        &self,
        key: &Key,
        service: &KeptService,
        standings: &BTreeMap<(&str, &str), Standing>,
    ) -> Service {
        let found = standings.get(&(&*key.namespace, &*key.name)).copied();
        let standing = match found {
            _ if service.external_name => Standing::ExternalName,
            Some(standing) => standing,
            None if self.slices.knows(&key.namespace) => Standing::Endpoints { ready: 0, all: 0 },
            None => Standing::Unknown,
        };
        let port = |port| Port {
            link: links::link(key, service, port, &self.way, &self.rights),
            name: port.name.clone(),
            number: port.number,
        };
        Service {
            name: key.name.clone(),
            ports: service.ports.iter().map(port).collect(),
            standing,
        }
    }

    /// How many endpoints of each Service are ready, each counted once.
    fn standings(&self) -> BTreeMap<(&str, &str), Standing> {
        let mut whose = BTreeMap::<(&str, &str), BTreeMap<&str, bool>>::new();
        for (key, slice) in &self.slices.objects {
            let known = whose.entry((&key.namespace, &slice.service)).or_default();
            for endpoint in &slice.endpoints {
                *known.entry(&endpoint.whose).or_default() |= endpoint.ready;
            }
        }
        let count = |endpoints: BTreeMap<&str, bool>| Standing::Endpoints {
            ready: endpoints.values().filter(|ready| **ready).count(),
            all: endpoints.len(),
        };
        let counted = whose.into_iter().map(|(key, all)| (key, count(all)));
        counted.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::TargetScheme;
    use crate::local::start_page::model::objects::{KeptEndpoint, KeptPort};

    fn key(namespace: &str, name: &str) -> Key {
        Key {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn service() -> KeptService {
        KeptService {
            external_name: false,
            ports: vec![KeptPort {
                name: String::new(),
                number: 80,
                transport: "TCP".to_owned(),
                scheme: TargetScheme::Http,
            }],
        }
    }

    fn slice(service: &str, endpoints: &[(&str, bool)]) -> KeptSlice {
        let endpoint = |(whose, ready): &(&str, bool)| KeptEndpoint {
            whose: (*whose).to_owned(),
            ready: *ready,
        };
        KeptSlice {
            service: service.to_owned(),
            endpoints: endpoints.iter().map(endpoint).collect(),
        }
    }

    fn book() -> Book {
        Book::new("demo".to_owned(), WayFact::Throughway)
    }

    fn names(book: &Book) -> Vec<String> {
        let namespaces = book.snapshot().namespaces.into_iter();
        namespaces
            .flat_map(|one| {
                let services = one.services.into_iter();
                services.map(move |service| format!("{}/{}", one.name, service.name))
            })
            .collect()
    }

    #[test]
    fn a_list_forgets_what_is_no_longer_in_its_scope() {
        let mut book = book();
        let all = [key("a", "web"), key("b", "web"), key("demo", "web")];
        let all = all.map(|key| (key, service())).to_vec();
        book.services.take_in(News::Listed(Scope::Cluster, all));
        assert_eq!(names(&book), ["demo/web", "a/web", "b/web"]);
        let some = vec![(key("a", "new"), service())];
        let scope = Scope::Namespace("a".to_owned());
        book.services.take_in(News::Listed(scope, some));
        assert_eq!(names(&book), ["demo/web", "a/new", "b/web"]);
        book.services.take_in(News::Gone(key("demo", "web")));
        book.services.take_in(News::Put(key("b", "db"), service()));
        assert_eq!(names(&book), ["a/new", "b/db", "b/web"]);
        let none = News::Listed(Scope::Cluster, Vec::new());
        book.services.take_in(none);
        assert_eq!(names(&book), Vec::<String>::new());
    }

    #[test]
    fn a_pod_in_two_slices_is_one_endpoint() {
        let mut book = book();
        let services = ["web", "db", "none"].map(|name| (key("demo", name), service()));
        let listed = News::Listed(Scope::Cluster, services.to_vec());
        book.services.take_in(listed);
        let standing = |book: &Book| {
            let services = book.snapshot().namespaces.remove(0).services;
            let standings = services.into_iter().map(|one| (one.name, one.standing));
            standings.collect::<Vec<_>>()
        };
        let all = |standing| ["db", "none", "web"].map(|name| (name.to_owned(), standing));
        assert_eq!(standing(&book), all(Standing::Unknown));
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
        let listed = News::Listed(Scope::Cluster, slices);
        book.slices.take_in(listed);
        let endpoints = |ready, all| Standing::Endpoints { ready, all };
        assert_eq!(
            standing(&book),
            [
                ("db".to_owned(), endpoints(0, 1)),
                ("none".to_owned(), endpoints(0, 0)),
                ("web".to_owned(), endpoints(2, 3)),
            ]
        );
    }
}

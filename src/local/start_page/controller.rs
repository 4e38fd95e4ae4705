//! Keeps the book: what is followed, asked and tried again.
//!
//! Services are listed for the whole cluster; where that is forbidden, in the default namespace and in those that can be
//! listed. Trouble is told when a list fails, or when a watch broke and asking again fails too; then the cluster is asked every
//! few seconds, and all begins anew once it answers. Refused credentials are not tried again until somebody looks: a plugin
//! that makes credentials may ask its user each time.

use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::Client;
use kube::api::{Api, ListParams};
use std::collections::BTreeSet;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::model::cluster_error::{self, Trouble};
use super::model::objects::{RawService, RawSlice};
use super::model::reviews;
use super::model::rights::Rights;
use super::model::snapshot::{Extent, Snapshot};
use super::model::store::{Book, News, Scope};
use super::model::watch::{Change, Followed, Kind, follow};
use super::start::WayFact;
use super::watching::Running;

/// Changes that come together are shown together.
const TOGETHER: Duration = Duration::from_millis(100);
/// Rights are asked for again after so long, and not sooner than this after new Services.
const RIGHTS_LIFETIME: Duration = Duration::from_secs(60);
const RIGHTS_PAUSE: Duration = Duration::from_secs(3);
/// How often a cluster that is away is asked, at first and at last.
const FIRST_PULSE: Duration = Duration::from_secs(2);
const LAST_PULSE: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// After so long without an answer the page says so, and after so long it is asked anew.
const SILENCE: Duration = Duration::from_secs(5);
const LONG_SILENCE: Duration = Duration::from_secs(30);
/// Namespaces that are watched one by one.
const MOST_NAMESPACES: u32 = 60;

pub(super) struct Keeper {
    client: Client,
    book: Book,
    sender: mpsc::Sender<Change>,
    pub(super) watches: FuturesUnordered<Running<()>>,
    /// First lists that are not there yet.
    awaited: BTreeSet<(Kind, Scope)>,
    /// The search for namespaces that can be listed.
    pub(super) namespaces: Option<Running<Vec<String>>>,
    pub(super) review: Option<Running<Result<Rights, Trouble>>>,
    pub(super) rights_due: Instant,
    rights_known: bool,
    rights_asked: Instant,
    pub(super) pulse: Option<Running<Option<Trouble>>>,
    next_pulse: Duration,
    pub(super) silence: Option<Running<()>>,
    pub(super) publication: Option<Running<()>>,
}

impl Keeper {
    pub(super) fn new(client: Client, book: Book, sender: mpsc::Sender<Change>) -> Self {
        Self {
            client,
            book,
            sender,
            watches: FuturesUnordered::new(),
            awaited: BTreeSet::new(),
            namespaces: None,
            review: None,
            rights_due: Instant::now() + RIGHTS_LIFETIME,
            rights_known: false,
            rights_asked: Instant::now(),
            pulse: None,
            next_pulse: FIRST_PULSE,
            silence: None,
            publication: None,
        }
    }

    /// Lists everything anew.
    pub(super) fn begin(&mut self) {
        self.stop();
        self.silence = Some(Box::pin(tokio::time::sleep(SILENCE)));
        self.follow(&Scope::Cluster);
    }

    fn stop(&mut self) {
        self.watches.clear();
        self.awaited.clear();
        self.namespaces = None;
        self.pulse = None;
        self.silence = None;
    }

    fn follow(&mut self, scope: &Scope) {
        let services = Followed::<RawService> {
            api: match scope {
                Scope::Cluster => Api::all(self.client.clone()),
                Scope::Namespace(name) => Api::namespaced(self.client.clone(), name),
            },
            kind: Kind::Services,
            scope: scope.clone(),
            tell: Change::Services,
        };
        let slices = Followed::<RawSlice> {
            api: match scope {
                Scope::Cluster => Api::all(self.client.clone()),
                Scope::Namespace(name) => Api::namespaced(self.client.clone(), name),
            },
            kind: Kind::Slices,
            scope: scope.clone(),
            tell: Change::Slices,
        };
        self.awaited.insert((Kind::Services, scope.clone()));
        self.awaited.insert((Kind::Slices, scope.clone()));
        let services = follow(services, self.sender.clone());
        let slices = follow(slices, self.sender.clone());
        self.watches.push(Box::pin(services));
        self.watches.push(Box::pin(slices));
    }

    pub(super) fn take_in(&mut self, change: Change) {
        match change {
            Change::Services(news) => {
                if let News::Listed(scope, _) = &news {
                    self.services_listed(scope.clone());
                }
                self.book.services.take_in(news);
                self.services_changed();
            }
            Change::Slices(news) => {
                if let News::Listed(scope, _) = &news {
                    self.awaited.remove(&(Kind::Slices, scope.clone()));
                }
                self.book.slices.take_in(news);
            }
            Change::Forbidden(Kind::Services, Scope::Cluster) => self.find_namespaces(),
            Change::Forbidden(Kind::Services, scope) => {
                self.awaited.remove(&(Kind::Services, scope.clone()));
                let nothing = News::Listed(scope, Vec::new());
                self.book.services.take_in(nothing);
                self.services_changed();
            }
            Change::Forbidden(kind, scope) | Change::Failed(kind @ Kind::Slices, scope, _) => {
                self.awaited.remove(&(kind, scope));
            }
            Change::Failed(Kind::Services, _, trouble) => self.failed(trouble),
            Change::Broken if self.pulse.is_none() => self.feel_pulse(Duration::ZERO),
            Change::Broken => {}
        }
        self.change();
    }

    fn services_listed(&mut self, scope: Scope) {
        self.book.extent = match scope {
            Scope::Cluster => Extent::Cluster,
            Scope::Namespace(_) => Extent::SomeNamespaces,
        };
        self.awaited.remove(&(Kind::Services, scope));
        self.book.trouble = None;
        self.pulse = None;
        self.silence = None;
        self.next_pulse = FIRST_PULSE;
    }

    /// Rights to all need not be asked for again, and rights to some not for each of many changes.
    fn services_changed(&mut self) {
        if self.awaited.iter().any(|(kind, _)| *kind == Kind::Services) {
            return;
        }
        let pause = match self.rights_known {
            true if self.book.rights.everywhere => return,
            true => RIGHTS_PAUSE,
            false => Duration::ZERO,
        };
        self.rights_due = self.rights_due.min(Instant::now() + pause);
    }

    fn find_namespaces(&mut self) {
        self.stop();
        self.book.extent = Extent::Nothing;
        let client = self.client.clone();
        let first = self.book.default_namespace.clone();
        self.namespaces = Some(Box::pin(async move {
            let parameters = ListParams::default().limit(MOST_NAMESPACES);
            let api = Api::<Namespace>::all(client);
            let listing = api.list_metadata(&parameters);
            let found = tokio::time::timeout(ANSWER_LIMIT, listing).await;
            // Who may not list namespaces has the default one.
            let found = found.ok().and_then(Result::ok);
            let found = found.into_iter().flat_map(|list| list.items);
            let names = found.filter_map(|one| one.metadata.name);
            let mut names: Vec<String> = names.filter(|name| *name != first).collect();
            names.insert(0, first);
            names
        }));
    }

    pub(super) fn namespaces_found(&mut self, found: &[String]) {
        self.book.keep_only(found);
        for name in found {
            self.follow(&Scope::Namespace(name.clone()));
        }
        self.change();
    }

    pub(super) fn ask_for_rights(&mut self) {
        self.rights_due = Instant::now() + RIGHTS_LIFETIME;
        let Some(group) = self.book.way.group() else {
            return;
        };
        let questions = self.book.questions();
        let asking = reviews::ask(self.client.clone(), group, questions);
        self.review = Some(Box::pin(asking));
        self.rights_asked = Instant::now();
    }

    pub(super) fn rights_found(&mut self, rights: Result<Rights, Trouble>) {
        match rights {
            Ok(rights) => self.book.rights = rights,
            // A watch goes on with credentials that have expired since.
            Err(trouble) => self.failed(trouble),
        }
        self.rights_known = true;
        self.change();
    }

    /// Another proxy has other rights.
    pub(super) fn goes(&mut self, way: WayFact) {
        self.book.way = way;
        self.book.rights = Rights::default();
        self.review = None;
        self.rights_known = false;
        self.services_changed();
        self.change();
    }

    fn failed(&mut self, trouble: Trouble) {
        if trouble == Trouble::NotLoggedIn {
            self.stop();
        } else if self.pulse.is_none() {
            self.feel_pulse(self.next_pulse);
        }
        self.book.trouble = Some(trouble);
    }

    fn feel_pulse(&mut self, after: Duration) {
        let api = match self.book.extent {
            Extent::Cluster => Api::<Service>::all(self.client.clone()),
            Extent::SomeNamespaces | Extent::Nothing => {
                Api::namespaced(self.client.clone(), &self.book.default_namespace)
            }
        };
        self.pulse = Some(Box::pin(async move {
            tokio::time::sleep(after).await;
            let one = ListParams::default().limit(1);
            match tokio::time::timeout(ANSWER_LIMIT, api.list_metadata(&one)).await {
                Ok(Err(failed)) if !cluster_error::is_forbidden(&failed) => {
                    Some(Trouble::of(&failed))
                }
                Ok(_) => None,
                Err(_) => Some(Trouble::Silent),
            }
        }));
    }

    pub(super) fn pulse_felt(&mut self, trouble: Option<Trouble>) {
        match trouble {
            Some(trouble) => self.failed(trouble),
            None if self.book.trouble.is_some() => {
                // A cluster that answers small questions only is not asked all of them again and again.
                self.next_pulse = (self.next_pulse * 2).min(LAST_PULSE);
                self.begin();
            }
            None => {}
        }
        self.change();
    }

    pub(super) fn silent(&mut self) {
        if self.book.trouble == Some(Trouble::Silent) {
            self.begin();
        }
        self.book.trouble = Some(Trouble::Silent);
        self.silence = Some(Box::pin(tokio::time::sleep(LONG_SILENCE)));
        self.change();
    }

    /// Somebody looks, who is to be told of trouble only if it is still there, and of new rights and expired credentials soon.
    pub(super) fn knocked(&mut self) {
        if self.book.trouble.take().is_some() {
            self.rights_known = false;
            self.begin();
            self.publication = Some(Box::pin(std::future::ready(())));
        } else if self.rights_asked.elapsed() >= RIGHTS_PAUSE {
            self.rights_due = self.rights_due.min(Instant::now());
        }
    }

    fn change(&mut self) {
        if self.publication.is_none() {
            self.publication = Some(Box::pin(tokio::time::sleep(TOGETHER)));
        }
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        self.book.settled =
            self.awaited.is_empty() && self.namespaces.is_none() && self.rights_known;
        self.book.snapshot()
    }
}

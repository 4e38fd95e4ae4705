//! The start page as the road asks for it: the page itself, and what it loads.
//!
//! The first look starts the watches, and a page is shown as soon as all is known or something is wrong, at the latest after
//! [`WAIT_LIMIT`]; what comes later comes live.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::sync::{Notify, watch};

use super::model::snapshot::Snapshot;
use super::view::document::{self, View};
use super::view::{assets, sse};
use super::viewers::{Audience, Watches};
use super::watching;
use crate::lifecycle::Tasks;
use crate::protocol::status::{Request, Response};

/// Nobody waits longer for a page.
const WAIT_LIMIT: Duration = Duration::from_millis(2500);

/// What can be reached, as a page. Cheap to clone.
#[derive(Clone)]
pub(in crate::local) struct StartPage(Arc<Shared>);

/// What does not come from the cluster.
#[derive(Debug, Clone)]
pub(in crate::local) struct Facts {
    /// The kubeconfig's context.
    pub(in crate::local) context: Option<String>,
    /// The API server's address.
    pub(in crate::local) server: String,
    pub(in crate::local) default_namespace: String,
    pub(in crate::local) way: watch::Receiver<WayFact>,
}

/// Which proxy of the cluster leads to targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) enum WayFact {
    Unknown,
    Throughway,
    /// With what it can't do, each a sentence.
    BuiltIn {
        limits: Vec<&'static str>,
    },
}

pub(super) struct Shared {
    client: kube::Client,
    pub(super) facts: Facts,
    pub(super) tasks: Tasks,
    pub(super) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(super) audience: Audience,
    knock: Notify,
}

impl WayFact {
    /// The API group that rights to the proxy are in.
    pub(super) fn group(&self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Throughway => Some("throughway.dev"),
            Self::BuiltIn { .. } => Some(""),
        }
    }
}

impl StartPage {
    /// `client` goes over the companion's own connections and credentials.
    pub(in crate::local) fn new(client: kube::Client, facts: Facts, tasks: Tasks) -> Self {
        Self(Arc::new(Shared {
            client,
            facts,
            tasks,
            snapshots: watch::Sender::new(Arc::default()),
            audience: Audience::new(),
            knock: Notify::new(),
        }))
    }

    /// `GET /` of a browser's navigation; `host` is the Host it used.
    pub(in crate::local) async fn answer(&self, host: &str, query: Option<&str>) -> Response {
        self.look();
        let snapshot = self.settled().await;
        let way = self.0.facts.way.borrow().clone();
        document::start_page(&View {
            snapshot: &snapshot,
            facts: &self.0.facts,
            way: &way,
            host,
            search: &document::search(query),
        })
    }

    /// Paths below `/.throughway/` on the API's own host. None: no such path.
    pub(in crate::local) fn asset(&self, request: &Request) -> Option<Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        if request.uri().path() == sse::PATH {
            self.look();
            return Some(sse::stream(Arc::clone(&self.0), request));
        }
        assets::find(request.uri().path())
    }

    fn look(&self) {
        if self.0.audience.look() == Watches::ToStart {
            // What was known when the last watches ended is old.
            self.0.snapshots.send_replace(Arc::default());
            let shared = Arc::clone(&self.0);
            self.0.tasks.spawn_background(async move {
                shared.watch().await;
            });
        }
    }

    /// The cluster once all was asked, or as far as it is known when the time is over.
    async fn settled(&self) -> Arc<Snapshot> {
        let mut snapshots = self.0.snapshots.subscribe();
        let waiting = async {
            let in_trouble = snapshots.borrow_and_update().trouble.is_some();
            self.0.knock.notify_one();
            if in_trouble {
                snapshots.changed().await?;
            }
            let ready = |snapshot: &Arc<Snapshot>| snapshot.settled || snapshot.trouble.is_some();
            snapshots.wait_for(ready).await.map(|_| ())
        };
        // Too late, or the sender is gone, which this handle has: either way what is known is shown.
        let _ = tokio::time::timeout(WAIT_LIMIT, waiting).await;
        self.0.snapshots.borrow().clone()
    }
}

impl Shared {
    async fn watch(&self) {
        let watching = watching::watch(
            self.client.clone(),
            self.facts.default_namespace.clone(),
            self.facts.way.clone(),
            &self.knock,
            &self.snapshots,
        );
        tokio::select! {
            () = watching => {}
            () = self.audience.gone() => {}
        }
    }
}

impl std::fmt::Debug for StartPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartPage").finish_non_exhaustive()
    }
}

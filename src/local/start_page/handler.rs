//! The start page as the pipeline asks for it: the page, its assets and its stream of changes.
//!
//! The first view starts the controller. A page is shown as soon as the cluster is known whole or something is wrong,
//! at the latest after [`PAGE_TIMEOUT`]; what is known later comes over the stream.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::sync::{Notify, watch};

use super::controller;
use super::facts::Facts;
use super::model::snapshot::Snapshot;
use super::view::sse::{self, OpenPage};
use super::view::{PageView, assets, page};
use super::viewers::{ControllerState, Viewers};
use crate::lifecycle::Tasks;
use crate::protocol::status::{Request, Response};

/// Nobody waits longer for a page.
const PAGE_TIMEOUT: Duration = Duration::from_millis(2500);

/// What can be reached, as a page. Cheap to clone.
#[derive(Clone)]
pub(in crate::local) struct StartPage(Arc<PageState>);

struct PageState {
    client: kube::Client,
    facts: Facts,
    tasks: Tasks,
    snapshots: watch::Sender<Arc<Snapshot>>,
    viewers: Viewers,
    /// Somebody views the page now: errors and rights are to be looked at again.
    refresh: Notify,
}

impl StartPage {
    /// `client` goes over the companion's own connections and credentials.
    pub(in crate::local) fn new(client: kube::Client, facts: Facts, tasks: Tasks) -> Self {
        Self(Arc::new(PageState {
            client,
            facts,
            tasks,
            snapshots: watch::Sender::new(Arc::default()),
            viewers: Viewers::new(),
            refresh: Notify::new(),
        }))
    }

    /// `GET /` of a browser's navigation; `host` is the Host it used.
    pub(in crate::local) async fn respond(&self, host: &str, query: Option<&str>) -> Response {
        // Before anything is awaited: a controller that is about to end is told of the view, or another one starts.
        self.record_view();
        let snapshot = self.settled_snapshot().await;
        let mode = self.0.facts.mode.borrow().clone();
        page::start_page(&PageView {
            snapshot: &snapshot,
            facts: &self.0.facts,
            mode: &mode,
            host,
            search: &page::search(query),
        })
    }

    /// Paths below `/.throughway/` on the API's own host. None: no such path.
    pub(in crate::local) fn asset(&self, request: &Request) -> Option<Response> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        if request.uri().path() != sse::PATH {
            return assets::find(request.uri().path());
        }
        // A view as well: it starts the controller again if that has ended.
        self.record_view();
        let page = OpenPage::new(
            request,
            self.0.facts.clone(),
            self.0.snapshots.subscribe(),
            self.0.viewers.open_stream(),
        );
        Some(sse::stream(page, self.0.tasks.clone()))
    }

    fn record_view(&self) {
        if self.0.viewers.record_view() == ControllerState::ToStart {
            // What was known when the last controller ended is old.
            self.0.snapshots.send_replace(Arc::default());
            let state = Arc::clone(&self.0);
            // In the background, as it belongs to no request: it ends with the viewers and not with the first page.
            self.0.tasks.spawn_background(async move {
                state.run_controller().await;
            });
        }
    }

    /// The cluster once everything was asked, or what is known of it after [`PAGE_TIMEOUT`].
    async fn settled_snapshot(&self) -> Arc<Snapshot> {
        let mut snapshots = self.0.snapshots.subscribe();
        let waiting = async {
            // Marked as seen before the refresh, so that the snapshot which it leads to counts as a change.
            let shows_error = snapshots.borrow_and_update().error.is_some();
            self.0.refresh.notify_one();
            // A refresh clears an error first and publishes that, so the next snapshot tells whether it is still there.
            if shows_error {
                snapshots.changed().await?;
            }
            let is_ready = |snapshot: &Arc<Snapshot>| snapshot.settled || snapshot.error.is_some();
            snapshots.wait_for(is_ready).await.map(|_| ())
        };
        // On a timeout what is known is shown. The sender can't be gone, as this handle has it.
        let _ = tokio::time::timeout(PAGE_TIMEOUT, waiting).await;
        self.0.snapshots.borrow().clone()
    }
}

impl PageState {
    async fn run_controller(&self) {
        let controller = controller::run(
            self.client.clone(),
            self.facts.default_namespace.clone(),
            self.facts.mode.clone(),
            &self.refresh,
            &self.snapshots,
        );
        // The controller is dropped as a whole when nobody views the page any more, and with it all lists and watches.
        tokio::select! {
            () = controller => {}
            () = self.viewers.idle() => {}
        }
    }
}

impl std::fmt::Debug for StartPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartPage").finish_non_exhaustive()
    }
}

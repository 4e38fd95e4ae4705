//! Changes for a page that is open, as server-sent events. In: snapshots. Out: the sections of the list that have
//! changed, the order of all, and the notices above them; at first, everything.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use tokio::sync::watch;

use super::list::{self, Search};
use super::{PageView, notices};
use crate::lifecycle::Tasks;
use crate::local::pages::html::Html;
use crate::local::start_page::facts::Facts;
use crate::local::start_page::model::snapshot::Snapshot;
use crate::local::start_page::viewers::ViewerGuard;
use crate::local::targets::mode::ProxyMode;
use crate::protocol::status::{Request, Response};

pub(in crate::local::start_page) const PATH: &str = "/.throughway/live";

/// The least time between two events of a page.
const EVENT_INTERVAL: Duration = Duration::from_millis(250);
/// How often a comment is sent, so that a broken connection is noticed.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(20);

/// What a page that is open shows.
pub(in crate::local::start_page) struct OpenPage {
    _viewer: ViewerGuard,
    facts: Facts,
    host: String,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    mode: watch::Receiver<ProxyMode>,
    /// The sections that were sent last, by their ids.
    shown: HashMap<String, Html>,
    has_begun: bool,
}

#[derive(Debug, Serialize)]
struct Update<'a> {
    order: Vec<&'a str>,
    changed: BTreeMap<&'a str, &'a str>,
    summary: String,
    notices: &'a str,
}

/// Sends events until the browser goes away or this server ends.
pub(in crate::local::start_page) fn stream(page: OpenPage, tasks: Tasks) -> Response {
    let events = stream::unfold((page, tasks), |(mut page, tasks)| async {
        let event = tokio::select! {
            // The stream ends when the program does, or its connection would hold the end up.
            () = tasks.draining() => return None,
            event = page.next_event() => event,
        };
        Some((Ok::<Bytes, Infallible>(event), (page, tasks)))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers: [(HeaderName, &'static str); 3] = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

impl OpenPage {
    pub(in crate::local::start_page) fn new(
        request: &Request,
        facts: Facts,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        viewer: ViewerGuard,
    ) -> Self {
        let host = request.headers().get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
        Self {
            _viewer: viewer,
            host: host.unwrap_or_default().to_owned(),
            snapshots,
            mode: facts.mode.clone(),
            facts,
            shown: HashMap::new(),
            has_begun: false,
        }
    }

    async fn next_event(&mut self) -> Bytes {
        // The first event has everything: the page may have been loaded before the last change.
        if !std::mem::replace(&mut self.has_begun, true) {
            return self.update();
        }
        tokio::select! {
            () = tokio::time::sleep(HEARTBEAT_INTERVAL) => Bytes::from_static(b":\n\n"),
            () = changed(&mut self.snapshots, &mut self.mode) => {
                // What changes meanwhile is in the same event: the snapshot is taken after the wait.
                tokio::time::sleep(EVENT_INTERVAL).await;
                self.update()
            }
        }
    }

    fn update(&mut self) -> Bytes {
        // Marked as seen together with the copy, so that no change falls between the two.
        let snapshot = self.snapshots.borrow_and_update().clone();
        let mode = self.mode.borrow_and_update().clone();
        let view = PageView {
            snapshot: &snapshot,
            facts: &self.facts,
            mode: &mode,
            host: &self.host,
            search: "",
        };
        let nothing = Search::default();
        let sections = list::sections(&snapshot, &nothing, view.port());
        let notices = notices::notices(&view);
        // Compared as markup: what looks the same need not be sent.
        let is_new = |section: &&list::Section| self.shown.get(&section.id) != Some(&section.html);
        let changed = sections.iter().filter(is_new);
        let update = Update {
            order: sections.iter().map(|section| &*section.id).collect(),
            changed: changed
                .map(|section| (&*section.id, section.html.as_str()))
                .collect(),
            summary: list::summary(&snapshot, &nothing),
            notices: notices.as_str(),
        };
        let update = serde_json::to_string(&update).expect("texts in lists and maps are JSON");
        let shown = sections.into_iter();
        // Replaced as a whole, so that a section that went is sent again if it comes back.
        self.shown = shown.map(|section| (section.id, section.html)).collect();
        Bytes::from(format!("data: {update}\n\n"))
    }
}

/// Resolves when the cluster or the mode has changed; a mode whose sender is gone never changes.
async fn changed(
    snapshots: &mut watch::Receiver<Arc<Snapshot>>,
    mode: &mut watch::Receiver<ProxyMode>,
) {
    let mode_changed = async {
        if mode.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        _ = snapshots.changed() => {}
        () = mode_changed => {}
    }
}

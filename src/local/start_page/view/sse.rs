//! Changes for a page that is open, as server-sent events. In: snapshots. Out: the sections of the list that have changed, the
//! order of all, and what is said above them; at first, everything.
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

use super::document::{self, View};
use super::html::Html;
use super::list::{self, Search};
use super::notices;
use crate::local::start_page::model::snapshot::Snapshot;
use crate::local::start_page::start::{Shared, WayFact};
use crate::local::start_page::viewers::Open;
use crate::protocol::status::{Request, Response};

pub(in crate::local::start_page) const PATH: &str = "/.throughway/live";

/// A page is not changed more often.
const PAUSE: Duration = Duration::from_millis(250);
/// A line that means nothing, so that a connection that broke is noticed.
const HEARTBEAT: Duration = Duration::from_secs(20);

pub(in crate::local::start_page) fn stream(shared: Arc<Shared>, request: &Request) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    let page = Page {
        _open: shared.audience.open(),
        host: host.unwrap_or_default().to_owned(),
        snapshots: shared.snapshots.subscribe(),
        way: shared.facts.way.clone(),
        shown: HashMap::new(),
        began: false,
        shared,
    };
    let events = stream::unfold(page, |mut page| async {
        let event = page.next().await?;
        Some((Ok::<Bytes, Infallible>(event), page))
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

/// What a page that is open shows.
struct Page {
    _open: Open,
    shared: Arc<Shared>,
    host: String,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    way: watch::Receiver<WayFact>,
    shown: HashMap<String, Html>,
    began: bool,
}

#[derive(Debug, Serialize)]
struct News<'a> {
    order: Vec<&'a str>,
    changed: BTreeMap<&'a str, &'a str>,
    summary: String,
    notices: &'a str,
}

impl Page {
    /// The next event; none when this server ends.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.began, true) {
            return Some(self.news());
        }
        tokio::select! {
            () = self.shared.tasks.draining() => None,
            () = tokio::time::sleep(HEARTBEAT) => Some(Bytes::from_static(b":\n\n")),
            () = changed(&mut self.snapshots, &mut self.way) => {
                tokio::time::sleep(PAUSE).await;
                Some(self.news())
            }
        }
    }

    fn news(&mut self) -> Bytes {
        let snapshot = self.snapshots.borrow_and_update().clone();
        let way = self.way.borrow_and_update().clone();
        let view = View {
            snapshot: &snapshot,
            facts: &self.shared.facts,
            way: &way,
            host: &self.host,
            search: "",
        };
        let nothing = Search::default();
        let sections = list::sections(&snapshot, &nothing, document::port(&self.host));
        let notices = notices::notices(&view);
        let is_new = |section: &&list::Section| self.shown.get(&section.id) != Some(&section.html);
        let changed = sections.iter().filter(is_new);
        let news = News {
            order: sections.iter().map(|section| &*section.id).collect(),
            changed: changed
                .map(|section| (&*section.id, section.html.as_str()))
                .collect(),
            summary: list::summary(&snapshot, &nothing),
            notices: notices.as_str(),
        };
        let news = serde_json::to_string(&news).expect("texts in lists and maps are JSON");
        let shown = sections.into_iter();
        self.shown = shown.map(|section| (section.id, section.html)).collect();
        Bytes::from(format!("data: {news}\n\n"))
    }
}

/// Resolves when the cluster or the way to it is another; whose sender is gone never changes.
async fn changed(
    snapshots: &mut watch::Receiver<Arc<Snapshot>>,
    way: &mut watch::Receiver<WayFact>,
) {
    let way = async {
        if way.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        _ = snapshots.changed() => {}
        () = way => {}
    }
}

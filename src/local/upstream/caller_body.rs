//! A request's body on its way to the API server, which remembers that it broke off: of an HTTP/2 request the
//! connection tells no more than that its stream was reset.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use http_body::Body as _;
use http_body_util::BodyExt;

/// Whether the caller's body broke off. One that is empty can't.
#[derive(Debug, Default)]
pub(super) struct BodyFailure(Option<Arc<AtomicBool>>);

impl BodyFailure {
    pub(super) fn happened(&self) -> bool {
        let flag = self.0.as_ref();
        flag.is_some_and(|failed| failed.load(Ordering::Acquire))
    }
}

/// The same body, watched.
pub(super) fn watched(body: Body) -> (Body, BodyFailure) {
    // What is empty can't break off, and most requests are.
    if body.is_end_stream() {
        return (body, BodyFailure::default());
    }
    let failed = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&failed);
    let body = body.map_err(move |failed| {
        flag.store(true, Ordering::Release);
        failed
    });
    (Body::new(body), BodyFailure(Some(failed)))
}

//! A request's body on its way to the API server, which remembers that it broke off: of an HTTP/2 request the connection tells
//! no more than that its stream was reset.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use http_body::Body as _;
use http_body_util::BodyExt;

/// Whether the caller's body broke off. One that is empty can't.
#[derive(Debug, Default)]
pub(super) struct BrokeOff(Option<Arc<AtomicBool>>);

impl BrokeOff {
    pub(super) fn happened(&self) -> bool {
        let flag = self.0.as_ref();
        flag.is_some_and(|broke_off| broke_off.load(Ordering::Acquire))
    }
}

/// The same body, watched.
pub(super) fn watched(body: Body) -> (Body, BrokeOff) {
    if body.is_end_stream() {
        return (body, BrokeOff::default());
    }
    let broke_off = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&broke_off);
    let body = body.map_err(move |failed| {
        flag.store(true, Ordering::Release);
        failed
    });
    (Body::new(body), BrokeOff(Some(broke_off)))
}

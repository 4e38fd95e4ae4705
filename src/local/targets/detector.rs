//! Detects which proxy of the cluster leads to targets. In: `--via`, and what the API server says of the API group.
//! Out: a [`ProxyMode`].
//!
//! The mode is known for [`MODE_TTL`]. After that it is looked up again, which only the first request of all waits for.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, StatusCode, Uri, header};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::built_in;
use super::mode::ProxyMode;
use crate::lifecycle::Tasks;
use crate::local::config::Via;
use crate::local::upstream::{Upstream, UpstreamError};
use crate::protocol::USER_AGENT;
use crate::protocol::status::Request;

/// How long a mode counts, and how long a look-up in the background may take.
pub(super) const MODE_TTL: Duration = Duration::from_secs(30);

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::local) struct ModeDetector {
    upstream: Upstream,
    tasks: Tasks,
    via: Via,
    api_group: Arc<str>,
    detected: Arc<Detected>,
}

/// Written by whoever holds the lock; read without waiting.
#[derive(Debug)]
struct Detected {
    mode: watch::Sender<ProxyMode>,
    at: watch::Sender<Option<Instant>>,
    lock: Arc<Mutex<()>>,
}

impl ModeDetector {
    /// `api_group` is the group that Throughway serves.
    pub(in crate::local) fn new(
        upstream: Upstream,
        via: Via,
        api_group: Arc<str>,
        tasks: Tasks,
    ) -> Self {
        let mode = match via {
            Via::Auto => ProxyMode::Unknown,
            Via::Throughway => ProxyMode::Throughway(Arc::clone(&api_group)),
            Via::BuiltIn => built_in::mode(),
        };
        let detected = Arc::new(Detected {
            mode: watch::Sender::new(mode),
            at: watch::Sender::new(None),
            lock: Arc::default(),
        });
        Self {
            upstream,
            tasks,
            via,
            api_group,
            detected,
        }
    }

    /// The mode as it is known, and as it changes.
    pub(in crate::local) fn subscribe(&self) -> watch::Receiver<ProxyMode> {
        self.detected.mode.subscribe()
    }

    /// The API group of Throughway, whether it is there or not.
    pub(in crate::local) fn api_group(&self) -> &str {
        &self.api_group
    }

    /// Whether `--via` leaves the choice to the detector.
    pub(super) fn is_automatic(&self) -> bool {
        self.via == Via::Auto
    }

    /// The mode. Whoever knows none waits for the API server; a mode that is old is used while it is looked up again.
    pub(in crate::local) async fn detect(&self) -> Result<ProxyMode, UpstreamError> {
        if !self.is_automatic() || self.is_fresh() {
            return Ok(self.detected.mode.borrow().clone());
        }
        // Nothing is known yet, so there is nothing that could be used meanwhile.
        if self.detected.at.borrow().is_none() {
            // A Tokio lock, as it is held while the API server is asked; a caller that goes away frees it.
            let _turn = self.detected.lock.lock().await;
            return Box::pin(self.look_up_unless_fresh()).await;
        }
        // One look-up at a time: who does not get the lock relies on the one that runs.
        if let Ok(turn) = Arc::clone(&self.detected.lock).try_lock_owned() {
            // In the background: no request waits for a mode that is only to be confirmed.
            let detector = self.clone();
            self.tasks.spawn_background(async move {
                // Moved into the task, so that the lock lasts as long as the look-up.
                let _turn = turn;
                detector.look_up_in_background().await;
            });
        }
        Ok(self.detected.mode.borrow().clone())
    }

    /// The timeout frees the lock: an API server that never responds would keep every later look-up away.
    async fn look_up_in_background(&self) {
        match tokio::time::timeout(MODE_TTL, self.look_up_unless_fresh()).await {
            Ok(Ok(_)) => {}
            Ok(Err(failed)) => {
                tracing::debug!(error = %failed, "the proxy of the cluster could not be detected again");
            }
            Err(_) => tracing::debug!("the proxy of the cluster was not detected in time"),
        }
    }

    fn is_fresh(&self) -> bool {
        let at = *self.detected.at.borrow();
        at.is_some_and(|at| at.elapsed() < MODE_TTL)
    }

    /// Asks the API server. Somebody else may have done it while this one waited for the lock.
    async fn look_up_unless_fresh(&self) -> Result<ProxyMode, UpstreamError> {
        if self.is_fresh() {
            return Ok(self.detected.mode.borrow().clone());
        }
        let mut request = Request::new(Body::empty());
        let path = format!("/apis/{}/v1", self.api_group);
        *request.uri_mut() = Uri::try_from(path).map_err(|_| UpstreamError::Path)?;
        let agent = HeaderValue::from_static(USER_AGENT);
        request.headers_mut().insert(header::USER_AGENT, agent);
        self.upstream.below_server_path(&mut request)?;
        let response = self.upstream.send(request).await?;
        let mode = match response.status() {
            StatusCode::OK => ProxyMode::Throughway(Arc::clone(&self.api_group)),
            StatusCode::UNAUTHORIZED => ProxyMode::Unknown,
            _ => built_in::mode(),
        };
        self.detected.mode.send_if_modified(|known| {
            let is_new = *known != mode;
            known.clone_from(&mode);
            is_new
        });
        // Last, as a time says that the mode beside it counts. An unknown one is looked up by the next request.
        let at = (mode != ProxyMode::Unknown).then(Instant::now);
        self.detected.at.send_replace(at);
        Ok(mode)
    }
}

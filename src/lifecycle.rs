//! Signals, readiness, every task of the server, and the order in which it all ends.
//!
//! The order: SIGTERM makes `/readyz` fail; the delay passes while everything is still served; then no connection is
//! accepted any more, open ones get GOAWAY or `Connection: close`, tunnels are told to close; what is still running when
//! the grace is over is cut. Kubernetes: `--shutdown-delay-duration` of k8s.io/apiserver.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts tasks and knows when they are all done. Every task of the server is started here.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    terminating: CancellationToken,
    draining: CancellationToken,
    stopped: CancellationToken,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task that ends by itself when the work is done or the server drains: a connection, a tunnel.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stopped = self.stopped.clone();
        #[expect(clippy::disallowed_methods, reason = "the one place where tasks start")]
        tokio::spawn(self.tracker.track_future(async move {
            tokio::select! {
                () = task => {}
                () = stopped.cancelled() => {}
            }
        }));
    }

    /// Starts a task that runs until the server has drained: a watch, a reload.
    pub fn spawn_background<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stopped = self.stopped.clone();
        #[expect(clippy::disallowed_methods, reason = "the one place where tasks start")]
        tokio::spawn(async move {
            tokio::select! {
                () = task => {}
                () = stopped.cancelled() => {}
            }
        });
    }

    /// Whether the end has begun: readiness fails from here on.
    pub fn terminating(&self) -> bool {
        self.terminating.is_cancelled()
    }

    /// Resolves when connections and tunnels should come to their end.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Ends everything, in the order of the front page; true when nothing had to be cut.
    pub async fn end(&self, delay: Duration, grace: Duration) -> bool {
        self.terminating.cancel();
        tokio::time::sleep(delay).await;
        self.draining.cancel();
        self.tracker.close();
        let graceful = tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_ok();
        self.stopped.cancel();
        self.tracker.wait().await;
        graceful
    }
}

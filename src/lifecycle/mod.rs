//! Signals, readiness, every task of the server, and the order in which it all ends.
//!
//! The order: SIGTERM makes `/readyz` fail; the delay passes while everything is still served; then no connection is
//! accepted any more, open ones get GOAWAY or `Connection: close`, tunnels are told to close; what is still running
//! when the grace is over is cut. Kubernetes: `--shutdown-delay-duration` of k8s.io/apiserver.

pub mod log;
pub mod memory;
mod poll;
mod progress;

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use poll::{PollLast, PollOnOwnWake};
pub use progress::ProgressTimeout;

use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts tasks and knows when they are all done. Every task of the server is started here.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    terminating: CancellationToken,
    draining: CancellationToken,
    stopped: CancellationToken,
    /// Background tasks that met a defect and are gone.
    failed: Arc<Mutex<Vec<&'static str>>>,
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
                // The work first: most polls are for it, and the end of the server comes once.
                biased;
                () = task => {}
                // It has a waker of its own, so the token's lock, which all tasks share, is not taken at every poll of
                // the work.
                () = PollOnOwnWake::new(stopped.cancelled_owned()) => {}
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
                biased;
                () = task => {}
                () = PollOnOwnWake::new(stopped.cancelled_owned()) => {}
            }
        });
    }

    /// Starts a task that the server can't do without, as [`Tasks::spawn_background`]: a watch that keeps a view of the
    /// cluster, say. If it panics, the view is frozen, so the log names it and readiness fails from then on.
    pub fn spawn_required<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let failed = Arc::clone(&self.failed);
        self.spawn_background(async move {
            // Caught here, as a panic would end only this task, and the server would go on with a view that is frozen.
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!(
                    task = name,
                    "a background task met a defect of this server; it is not ready any more"
                );
                // For one push and never across an await.
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.push(name);
            }
        });
    }

    /// Names of the required tasks that are gone by a defect.
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.clone()
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
        // Only now: until here kube-proxy and the front proxy still send requests, as the delay is for them to notice.
        self.draining.cancel();
        // Closed before it is waited for, or the wait would never end.
        self.tracker.close();
        let graceful = tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_ok();
        // Everything that is left is cut at its next await, background tasks among them.
        self.stopped.cancel();
        // Waited for once more: a task that was cut still has to drop what it holds.
        self.tracker.wait().await;
        graceful
    }
}

/// The signals that end the server; made early, so that one that comes during the start is not missed.
#[derive(Debug)]
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// # Errors
    /// The operating system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves with the next SIGTERM or SIGINT.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const DELAY: Duration = Duration::from_secs(5);
    const GRACE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn readiness_ends_at_once_and_draining_after_the_delay() {
        let tasks = Tasks::new();
        let start = tokio::time::Instant::now();
        let watcher = tasks.clone();
        let ended = async move {
            watcher.draining().await;
            (watcher.terminating(), start.elapsed())
        };
        let (graceful, (terminating, drained_after)) = tokio::join!(tasks.end(DELAY, GRACE), ended);
        assert!(graceful && terminating);
        assert_eq!(drained_after, DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_listens_to_draining_is_not_cut() {
        let tasks = Tasks::new();
        let finished = Arc::new(AtomicBool::new(false));
        let (inner, flag) = (tasks.clone(), Arc::clone(&finished));
        tasks.spawn(async move {
            inner.draining().await;
            tokio::time::sleep(Duration::from_secs(20)).await;
            flag.store(true, Ordering::SeqCst);
        });
        assert!(tasks.end(DELAY, GRACE).await);
        assert!(finished.load(Ordering::SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_never_ends_is_cut_when_the_grace_is_over() {
        let tasks = Tasks::new();
        tasks.spawn(std::future::pending());
        let start = tokio::time::Instant::now();
        assert!(!tasks.end(DELAY, GRACE).await);
        assert_eq!(start.elapsed(), DELAY + GRACE);
    }

    #[tokio::test]
    async fn a_required_task_that_panics_is_named_and_others_go_on() {
        let tasks = Tasks::new();
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn_required("pods", async move {
            let _dropped_by_the_panic = sender;
            panic!("a defect");
        });
        assert!(receiver.await.is_err());
        while tasks.failed().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(tasks.failed(), ["pods"]);
        assert!(!tasks.terminating());
    }

    #[tokio::test(start_paused = true)]
    async fn background_tasks_go_on_while_requests_drain_and_end_after_them() {
        let tasks = Tasks::new();
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn_background(async move {
            let _alive = sender;
            std::future::pending::<()>().await;
        });
        assert!(tasks.end(DELAY, GRACE).await);
        assert!(receiver.await.is_err(), "the task was dropped");
    }
}

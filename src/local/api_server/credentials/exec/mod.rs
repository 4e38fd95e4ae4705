//! A plugin that makes credentials. In: the kubeconfig's `exec`. Out: a token, a client certificate, or both, until
//! they run out.
//!
//! The plugin runs once for all requests that wait for it, again when its credential has run out, and again after a
//! 401. It runs in a task of its own: a request that is given up does not stop it, so that a login in a browser can be
//! finished. After a failure it rests a moment, and so it does after a 401.
//!
//! client-go: `plugin/pkg/client/auth/exec/exec.go`.

mod credential;
mod output;
mod process;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use kube::config::ExecConfig;
use tokio::sync::oneshot;

pub(super) use process::Program;

use super::context::CredentialContext;
use crate::lifecycle::Tasks;
use crate::local::api_server::clock::Clock;
use crate::local::api_server::error::{ConfigError, CredentialError};
use credential::ExecCredential;

/// How long before its end a credential is made anew.
const EXPIRY_SKEW: Duration = Duration::from_secs(10);
/// The least time between two runs.
const RETRY_BACKOFF: Duration = Duration::from_secs(5);

type Run = Shared<BoxFuture<'static, Result<Arc<ExecCredential>, CredentialError>>>;

/// A plugin and what it gave last.
pub(in crate::local::api_server) struct Exec(Arc<ExecPlugin>);

struct ExecPlugin {
    program: Program,
    tasks: Tasks,
    clock: Clock,
    is_rejected: AtomicBool,
    state: Mutex<ExecState>,
}

#[derive(Default)]
struct ExecState {
    credential: Option<(SystemTime, Arc<ExecCredential>)>,
    failed: Option<(SystemTime, CredentialError)>,
    running: Option<Run>,
}

impl Exec {
    pub(super) fn of(
        config: ExecConfig,
        context: &CredentialContext<'_>,
    ) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(ExecPlugin {
            program: Program::of(config, context)?,
            tasks: context.tasks.clone(),
            clock: context.clock.clone(),
            is_rejected: AtomicBool::new(false),
            state: Mutex::default(),
        })))
    }

    /// The credential for a request that starts now.
    pub(super) async fn credential(&self) -> Result<Arc<ExecCredential>, CredentialError> {
        // The lock is held for the decision alone: the run is awaited outside of it, by everybody who needs it.
        let run = {
            let mut state = self.0.state();
            match state.running.clone() {
                Some(run) => run,
                None => {
                    if let Some(cached) = self.0.cached(&state) {
                        return cached;
                    }
                    let run = self.start();
                    state.running = Some(run.clone());
                    run
                }
            }
        };
        // Shared: whoever is given up drops only its own wait, as the plugin runs in a task.
        let result = run.clone().await;
        if matches!(result, Err(CredentialError::Interrupted)) {
            // Nobody else puts an end to a run that met a defect.
            let mut state = self.0.state();
            if state.running.as_ref().is_some_and(|now| now.ptr_eq(&run)) {
                state.running = None;
            }
        }
        result
    }

    fn start(&self) -> Run {
        // Before the run, so that a 401 which comes while it runs counts against its result.
        self.0.is_rejected.store(false, Ordering::Release);
        let inner = Arc::clone(&self.0);
        let (sender, receiver) = oneshot::channel();
        self.0.tasks.spawn_background(async move {
            // In a task of its own: a login in a browser takes minutes, and the request that began it may be gone.
            let result = inner.program.run(&inner.tasks).await.map(Arc::new);
            // Recorded before anybody is told, so that nobody who asks then starts another run.
            inner.record(&result);
            // Whoever asked may be gone.
            let _ = sender.send(result);
        });
        receiver
            .map(|result| result.unwrap_or(Err(CredentialError::Interrupted)))
            .boxed()
            .shared()
    }

    pub(super) fn rejected(&self) {
        self.0.is_rejected.store(true, Ordering::Release);
    }
}

impl ExecPlugin {
    /// Takes note of what came of a run, for whoever asks next.
    fn record(&self, result: &Result<Arc<ExecCredential>, CredentialError>) {
        let mut state = self.state();
        state.running = None;
        match result {
            Ok(credential) => {
                state.credential = Some((self.clock.now(), Arc::clone(credential)));
                state.failed = None;
            }
            Err(failed) => state.failed = Some((self.clock.now(), failed.clone())),
        }
    }

    /// What need not be made anew.
    fn cached(&self, state: &ExecState) -> Option<Result<Arc<ExecCredential>, CredentialError>> {
        // A failure rests for a moment: a page makes a hundred requests, and each would start the plugin.
        if let Some((at, failed)) = &state.failed
            && self.clock.since(*at) < RETRY_BACKOFF
        {
            return Some(Err(failed.clone()));
        }
        let (made, credential) = state.credential.as_ref()?;
        let age = self.clock.since(*made);
        // A 401 right after a run is not the credential's age, and would only run the plugin again and again.
        if self.is_rejected.load(Ordering::Acquire) && age >= RETRY_BACKOFF {
            return None;
        }
        // Without an end a credential is good until a 401.
        let Some(expires) = credential.expires else {
            return Some(Ok(Arc::clone(credential)));
        };
        // Of a short life only a part is given up.
        let lifetime = expires.duration_since(*made).unwrap_or_default();
        let is_fresh = age < lifetime.saturating_sub(EXPIRY_SKEW.min(lifetime / 4));
        is_fresh.then(|| Ok(Arc::clone(credential)))
    }

    fn state(&self) -> MutexGuard<'_, ExecState> {
        self.state
            .lock()
            .expect("nothing that holds the lock can panic")
    }
}

//! A plugin that makes credentials. In: the kubeconfig's `exec`. Out: a token, a client certificate, or both, until they run out.
//!
//! The plugin runs once for all requests that wait for it, again when its credential has run out, and again after a 401. A request that is
//! given up does not stop it, so that a login in a browser can be finished. After a failure it rests a moment, and so it does after a 401.
//!
//! client-go: `plugin/pkg/client/auth/exec/exec.go`.

mod answer;
mod process;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http::HeaderValue;
use kube::config::{Cluster, ExecConfig};

pub(super) use process::Program;

use super::super::clock::Clock;
use super::super::error::{AccessError, CredentialError};
use super::super::identity::Identity;

/// How long before its end a credential is made anew.
const SLACK: Duration = Duration::from_secs(10);
/// The least time between two runs.
const REST: Duration = Duration::from_secs(5);

/// What a plugin gave.
pub(super) struct Given {
    pub(super) header: Option<HeaderValue>,
    pub(super) identity: Option<Arc<Identity>>,
    expires: Option<SystemTime>,
}

type Run = Shared<BoxFuture<'static, Result<Arc<Given>, CredentialError>>>;

/// A plugin and what it gave last.
pub(in crate::local::api_server) struct Exec {
    program: Arc<Program>,
    clock: Clock,
    is_rejected: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    given: Option<(SystemTime, Arc<Given>)>,
    failed: Option<(SystemTime, CredentialError)>,
    running: Option<Run>,
}

impl Exec {
    pub(super) fn of(
        config: ExecConfig,
        cluster: &Cluster,
        clock: Clock,
    ) -> Result<Self, AccessError> {
        Ok(Self {
            program: Arc::new(Program::of(config, cluster)?),
            clock,
            is_rejected: AtomicBool::new(false),
            state: Mutex::default(),
        })
    }

    /// The credential for a request that starts now.
    pub(super) async fn credential(&self) -> Result<Arc<Given>, CredentialError> {
        let run = {
            let mut state = self.state();
            match state.running.clone() {
                Some(run) => run,
                None => {
                    if let Some(kept) = self.kept(&state) {
                        return kept;
                    }
                    self.is_rejected.store(false, Ordering::Release);
                    let program = Arc::clone(&self.program);
                    let run = async move { program.run().await.map(Arc::new) }
                        .boxed()
                        .shared();
                    state.running = Some(run.clone());
                    run
                }
            }
        };
        let result = run.clone().await;
        let mut state = self.state();
        // Whoever comes first puts down what came of it for all.
        if state.running.as_ref().is_some_and(|now| now.ptr_eq(&run)) {
            state.running = None;
            match &result {
                Ok(given) => {
                    state.given = Some((self.clock.now(), Arc::clone(given)));
                    state.failed = None;
                }
                Err(failed) => state.failed = Some((self.clock.now(), failed.clone())),
            }
        }
        result
    }

    /// What need not be made anew.
    fn kept(&self, state: &State) -> Option<Result<Arc<Given>, CredentialError>> {
        if let Some((at, failed)) = &state.failed
            && self.clock.since(*at) < REST
        {
            return Some(Err(failed.clone()));
        }
        let (made, given) = state.given.as_ref()?;
        let age = self.clock.since(*made);
        if self.is_rejected.load(Ordering::Acquire) && age >= REST {
            return None;
        }
        let Some(expires) = given.expires else {
            return Some(Ok(Arc::clone(given)));
        };
        // Of a short life only a part is given up.
        let lifetime = expires.duration_since(*made).unwrap_or_default();
        let is_fresh = age < lifetime.saturating_sub(SLACK.min(lifetime / 4));
        is_fresh.then(|| Ok(Arc::clone(given)))
    }

    pub(super) fn rejected(&self) {
        self.is_rejected.store(true, Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing that holds the lock can panic")
    }
}

//! A kubeconfig that somebody logged in to anew. In: the files as they were. Out: whether they changed since.
//!
//! Logins such as `oc login` or `aws eks update-kubeconfig` write into the kubeconfig. When a credential is refused or
//! can't be had, the files are compared with what they were, at most every few seconds.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::discover;
use super::load::Environment;
use crate::local::api_server::whole_file;
use crate::local::config::ClusterOptions;

/// The least time between two looks.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The files of a kubeconfig as they were.
pub(in crate::local::api_server) struct KubeconfigReloader {
    files: Vec<PathBuf>,
    content: Vec<Option<Vec<u8>>>,
    looked_at: SystemTime,
}

impl KubeconfigReloader {
    pub(in crate::local::api_server) async fn of(
        options: &ClusterOptions,
        environment: &Environment,
    ) -> Self {
        let files = discover::files(options.kubeconfig.as_deref(), &environment.paths);
        Self {
            content: content(&files).await,
            files,
            looked_at: environment.clock.now(),
        }
    }

    /// Whether it is time for a look.
    pub(in crate::local::api_server) fn is_due(&self, environment: &Environment) -> bool {
        environment.clock.since(self.looked_at) >= CHECK_INTERVAL
    }

    /// Whether the files changed since the last look.
    pub(in crate::local::api_server) async fn changed(
        &mut self,
        environment: &Environment,
    ) -> bool {
        // Before the files are read: what changes while they are read is seen at the next look.
        self.looked_at = environment.clock.now();
        let now = content(&self.files).await;
        let changed = now != self.content;
        self.content = now;
        changed
    }
}

/// What a pipe says can't be read twice, and is left to whom it is for.
async fn content(files: &[PathBuf]) -> Vec<Option<Vec<u8>>> {
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        let is_file = tokio::fs::metadata(file)
            .await
            .is_ok_and(|found| found.is_file());
        all.push(if is_file {
            whole_file::read(file).await.ok()
        } else {
            None
        });
    }
    all
}

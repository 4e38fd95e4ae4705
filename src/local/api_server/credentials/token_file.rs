//! A token in a file that something else rewrites. In: the path. Out: the header, made of what the file says.
//!
//! The file is read again once a minute, and at once after a 401. If it can't be read any more, the last token stays:
//! some take their file away once it was read.
//!
//! client-go: `transport/token_source.go`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use secrecy::SecretString;
use tokio::sync::Mutex;

use super::header::bearer;
use crate::local::api_server::clock::Clock;
use crate::local::api_server::error::CredentialError;
use crate::local::api_server::whole_file;

/// How long a token is used before its file is looked at again.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// How soon after a look a 401 leads to another one.
const REJECTED_INTERVAL: Duration = Duration::from_secs(5);

/// A token file and what it said last.
pub(in crate::local::api_server) struct TokenFile {
    path: PathBuf,
    clock: Clock,
    is_rejected: AtomicBool,
    last: Mutex<LastToken>,
}

struct LastToken {
    header: HeaderValue,
    looked_at: SystemTime,
}

impl TokenFile {
    /// Reads the file; `fallback` is used until it can be read.
    pub(super) async fn open(
        path: PathBuf,
        fallback: Option<SecretString>,
        clock: Clock,
    ) -> Result<Self, CredentialError> {
        let header = match (read(&path).await, fallback) {
            (Ok(header), _) => header,
            (Err(_), Some(token)) => bearer(&token, "the kubeconfig")?,
            (Err(failed), None) => return Err(failed),
        };
        let last = LastToken {
            header,
            looked_at: clock.now(),
        };
        Ok(Self {
            path,
            clock,
            is_rejected: AtomicBool::new(false),
            last: Mutex::new(last),
        })
    }

    pub(super) async fn header(&self) -> HeaderValue {
        // Held while the file is read: one request reads it, and the others wait for what it says.
        let mut last = self.last.lock().await;
        let age = self.clock.since(last.looked_at);
        let is_rejected = self.is_rejected.load(Ordering::Acquire);
        if age >= CHECK_INTERVAL || (is_rejected && age >= REJECTED_INTERVAL) {
            // Before the file is read, so that a 401 which comes meanwhile leads to another look.
            self.is_rejected.store(false, Ordering::Release);
            // Also when it can't be read: a file that is gone is not looked for at every request.
            last.looked_at = self.clock.now();
            match read(&self.path).await {
                Ok(header) => last.header = header,
                Err(failed) => tracing::warn!(error = %failed, "the last token stays in use"),
            }
        }
        last.header.clone()
    }

    pub(super) fn rejected(&self) {
        self.is_rejected.store(true, Ordering::Release);
    }
}

async fn read(path: &Path) -> Result<HeaderValue, CredentialError> {
    let content =
        whole_file::read_text(path)
            .await
            .map_err(|cause| CredentialError::TokenFile {
                path: path.to_owned(),
                reason: cause.kind(),
            })?;
    bearer(&SecretString::from(content), &path.display().to_string())
}

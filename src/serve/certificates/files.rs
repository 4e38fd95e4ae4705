//! Files that change under a running server: Kubernetes swaps mounted Secrets and tokens, cert-manager rewrites its
//! own.
//!
//! Content is compared, not time stamps: a mounted file is a link whose target is swapped, and its times say little.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::CertificateError;

/// How often files are looked at: well within the minute that a rotated file has before its predecessor ends.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// The most that a file may have: a device such as `/dev/zero` never ends.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Reads a whole file.
pub(super) async fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    bounded(path)
        .await
        .map_err(|cause| CertificateError::Unreadable {
            path: path.display().to_string(),
            cause,
        })
}

async fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    // One byte more than allowed, so that a file of exactly that size is told from one that goes on.
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut content)
        .await?;
    if content.len() as u64 > MAX_FILE_BYTES {
        let sentence = "it has more than 16 MiB";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, sentence));
    }
    Ok(content)
}

/// The content of some files, each time that it changes.
#[derive(Debug)]
pub(super) struct Changes<const N: usize> {
    paths: [PathBuf; N],
    seen: Option<[Vec<u8>; N]>,
    unreadable: bool,
}

impl<const N: usize> Changes<N> {
    pub(super) fn of(paths: [PathBuf; N]) -> Self {
        Self {
            paths,
            seen: None,
            unreadable: false,
        }
    }

    /// Waits until the files say something that they did not say at the last call; the first call has nothing to
    /// compare with and waits one interval, as its caller has just read them.
    pub(super) async fn next(&mut self) -> [Vec<u8>; N] {
        if self.seen.is_none() {
            self.seen = self.look().await;
        }
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            if let Some(content) = self.look().await
                // Compared as a whole: certificate and key are swapped together, and half of a pair is of no use.
                && self.seen.as_ref() != Some(&content)
            {
                self.seen = Some(content.clone());
                return content;
            }
        }
    }

    async fn look(&mut self) -> Option<[Vec<u8>; N]> {
        let mut content = std::array::from_fn(|_| Vec::new());
        for (path, slot) in self.paths.iter().zip(&mut content) {
            match read(path).await {
                Ok(bytes) => *slot = bytes,
                Err(failed) => {
                    // Said once, and again only after it could be read: every ten seconds would fill the log.
                    if !self.unreadable {
                        tracing::warn!(error = %failed, "a file can't be read, its last content stays in force");
                    }
                    self.unreadable = true;
                    return None;
                }
            }
        }
        self.unreadable = false;
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_never_ends_is_refused() {
        let refused = read(Path::new("/dev/zero")).await.unwrap_err();
        let CertificateError::Unreadable { cause, .. } = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(cause.kind(), io::ErrorKind::FileTooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_swapped_file_is_seen_and_a_missing_one_is_waited_for() {
        let folder = std::env::temp_dir().join(format!("throughway-files-{}", std::process::id()));
        tokio::fs::create_dir_all(&folder).await.unwrap();
        let path = folder.join("file");
        tokio::fs::write(&path, "one").await.unwrap();
        let mut changes = Changes::of([path.clone()]);
        changes.seen = changes.look().await;
        tokio::fs::remove_file(&path).await.unwrap();
        assert_eq!(changes.look().await, None);
        tokio::fs::write(&path, "two").await.unwrap();
        assert_eq!(changes.next().await, [b"two".to_vec()]);
        tokio::fs::remove_dir_all(&folder).await.unwrap();
    }
}

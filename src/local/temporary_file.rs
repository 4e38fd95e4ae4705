//! Files that must not stay: drafts, locks, and what a browser reads once. In: a path. Out: a file that is removed when
//! its owner is dropped, however that comes about.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Removed when this is dropped; a file that was renamed by then stays.
#[derive(Debug)]
pub(super) struct TemporaryFile(pub(super) PathBuf);

impl TemporaryFile {
    /// Creates a file that only its user can read. It must not exist yet: another user could have made it.
    pub(super) fn create(path: PathBuf, content: &[u8]) -> io::Result<Self> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(&path)?;
        // From here on it is removed, even if nothing can be written.
        let temporary = Self(path);
        file.write_all(content)?;
        Ok(temporary)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // It may have got another name, or be gone.
        let _ = std::fs::remove_file(&self.0);
    }
}

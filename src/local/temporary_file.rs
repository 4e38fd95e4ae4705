//! Files that must not stay: drafts, locks, and what a browser is told once. In: a path. Out: nothing there any more, however its use ends.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// A file that goes away when this is dropped; one that has another name by then stays.
#[derive(Debug)]
pub(super) struct Leftover(pub(super) PathBuf);

impl Leftover {
    /// Makes a file that only its user can read. It must not be there yet: somebody else could have made it.
    pub(super) fn create(path: PathBuf, content: &[u8]) -> io::Result<Self> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(&path)?;
        let leftover = Self(path);
        file.write_all(content)?;
        Ok(leftover)
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        // It may have got another name, or be gone.
        let _ = std::fs::remove_file(&self.0);
    }
}

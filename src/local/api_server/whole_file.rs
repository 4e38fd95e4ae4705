//! Files that are read whole: kubeconfigs, and what they and the flags name. In: a path. Out: its bytes.
//!
//! Refuses: more than [`MAX_FILE_BYTES`]. A device such as `/dev/zero` never ends, and its bytes would be kept until
//! memory does.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// A kubeconfig of thousands of clusters with their certificates has a few mebibytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Reads a file. A pipe that nobody writes to holds only its reader up.
pub(super) async fn read(path: &Path) -> io::Result<Vec<u8>> {
    let path = path.to_owned();
    // On a thread for blocking work: a pipe may never say anything, and the companion has one thread.
    let read = tokio::task::spawn_blocking(move || read_blocking(&path));
    read.await.map_err(io::Error::other)?
}

/// Reads a file of text.
pub(super) async fn read_text(path: &Path) -> io::Result<String> {
    let bytes = read(path).await?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// The same on the thread of its caller.
pub(super) fn read_blocking(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    // One byte more than allowed tells a file of exactly that size from one that goes on.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let sentence = "it has more than 16 MiB";
        return Err(io::Error::new(ErrorKind::FileTooLarge, sentence));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_never_ends_is_refused() {
        let refused = read(Path::new("/dev/zero")).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::FileTooLarge);
        assert_eq!(refused.to_string(), "it has more than 16 MiB");
    }
}

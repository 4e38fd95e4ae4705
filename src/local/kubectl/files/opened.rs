//! Opens what a path names. In: a directory and a decoded path below it. Out: an open file or directory.
//!
//! Refuses: what is not there (404), what may not be read and what is neither a file nor a directory (403).

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use http::StatusCode;
use tokio::fs::File;

use super::conditions::Modified;
use crate::local::kubectl::plain;
use crate::local::kubectl::request_path::{as_text, rooted};
use crate::protocol::status::Response;

/// A request without its body, which no file needs.
pub(in crate::local) type FileRequest = http::Request<()>;

/// A file or directory that was opened.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) metadata: Metadata,
}

/// Why nothing was opened.
pub(super) enum NotOpened {
    Absent,
    Forbidden,
    Other,
}

/// Opens what a path names below a directory. `..` does not lead out of it.
pub(super) async fn open_below(directory: &Path, path: &[u8]) -> Result<Opened, NotOpened> {
    let path = rooted(path);
    let name = str::from_utf8(&path).map_err(|_| NotOpened::Absent)?;
    // A path with a NUL would be cut by the system and name another file.
    if name.contains('\0') {
        return Err(NotOpened::Absent);
    }
    let mut whole = directory.to_owned();
    if name.len() > 1 {
        whole.push(&name[1..]);
    }
    open(&whole).await
}

/// Opens a path of this machine.
pub(super) async fn open(path: &Path) -> Result<Opened, NotOpened> {
    // To open a pipe waits for its other side, which may never come.
    if let Ok(found) = tokio::fs::metadata(path).await
        && !found.is_file()
        && !found.is_dir()
    {
        return Err(NotOpened::Forbidden);
    }
    let file = match File::open(path).await {
        Ok(file) => file,
        Err(cause) => return Err(NotOpened::because(&cause, path).await),
    };
    let metadata = file.metadata().await.map_err(|_| NotOpened::Other)?;
    Ok(Opened {
        file,
        path: path.to_owned(),
        metadata,
    })
}

impl NotOpened {
    /// A path that goes on behind a file is one that is not there.
    async fn because(cause: &io::Error, path: &Path) -> Self {
        match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Absent,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            _ => match tokio::fs::metadata(path).await {
                Ok(metadata) if !metadata.is_dir() => Self::Absent,
                Ok(_) | Err(_) => Self::Other,
            },
        }
    }

    pub(super) fn response(self) -> Response {
        match self {
            Self::Absent => plain::not_found(),
            Self::Forbidden => plain::text(StatusCode::FORBIDDEN, "403 Forbidden"),
            Self::Other => plain::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "500 Internal Server Error",
            ),
        }
    }
}

impl Opened {
    pub(super) fn modified(&self) -> Modified {
        Modified::at(self.metadata.modified().ok())
    }

    pub(super) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        as_text(name.as_encoded_bytes())
    }
}

//! Where a root or a token comes from.

use std::path::PathBuf;

/// Where something comes from that may change.
#[derive(Clone)]
pub enum CredentialSource {
    /// Read again when it changes.
    File(PathBuf),
    /// Does not change while this process lives.
    Fixed(Vec<u8>),
    Nothing,
}

impl std::fmt::Debug for CredentialSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "File({})", path.display()),
            Self::Fixed(_) => formatter.write_str("Fixed"),
            Self::Nothing => formatter.write_str("Nothing"),
        }
    }
}

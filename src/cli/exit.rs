//! Why a command line leads to no program: what is printed instead, and where.

/// Why there is no [`super::Command`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exit {
    /// `--help` or `--version` was asked for: its text, for standard output.
    #[error("{0}")]
    Help(String),
    /// A wrong setting: one line.
    #[error("{0}")]
    Usage(String),
}

//! Why the cluster can't be shown. In: an error of `kube`. Out: [`ClusterError`].
//!
//! An error of the companion's own upstream keeps its [`Problem`], with the title and the advice that the terminal and
//! the pages of targets show too. Only what the API server answered itself is told as its status.

use crate::causes::causes;
use crate::local::problem::Problem;
use crate::local::upstream::UpstreamError;

/// Texts of others are cut here.
const MAX_TEXT_CHARS: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) enum ClusterError {
    /// 401: the API server refuses the credentials.
    Unauthorized,
    /// There was no response: no credentials, no connection, or it broke.
    NoResponse(Box<Problem>),
    /// A response that is not what was asked for.
    Malformed(String),
    /// No response in time, and no error either.
    Silent,
    /// A refusal of the API server.
    Status { code: u16, message: String },
}

impl ClusterError {
    pub(in crate::local::start_page) fn of(failed: &kube::Error) -> Self {
        match failed {
            kube::Error::Api(status) if status.code == 401 => Self::Unauthorized,
            kube::Error::Api(status) => Self::Status {
                code: status.code,
                message: cut(&status.message),
            },
            // An error of our own upstream knows what helps; kube's text of it would not.
            kube::Error::Service(failed) => match failed.downcast_ref::<UpstreamError>() {
                Some(failed) => Self::NoResponse(Box::new(failed.problem())),
                None => Self::Malformed(cut(&causes(&**failed))),
            },
            other => Self::Malformed(cut(&causes(other))),
        }
    }
}

/// Whether the response was "you may not".
pub(in crate::local::start_page) fn is_forbidden(failed: &kube::Error) -> bool {
    matches!(failed, kube::Error::Api(status) if status.code == 403)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_letters() {
        assert_eq!(cut(&"ü".repeat(400)).chars().count(), MAX_TEXT_CHARS + 1);
    }
}

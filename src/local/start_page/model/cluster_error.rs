//! Why the cluster can't be shown, read from an answer or from the lack of one.

/// Texts of others are cut here.
const LONGEST_TEXT: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local::start_page) enum Trouble {
    /// 401: the credentials are refused.
    NotLoggedIn,
    /// No connection, or it broke.
    Away(String),
    /// No answer, and no error either.
    Silent,
    /// An answer that helps nobody.
    Failing { code: u16, message: String },
}

impl Trouble {
    pub(in crate::local::start_page) fn of(failed: &kube::Error) -> Self {
        match failed {
            kube::Error::Api(status) if status.code == 401 => Self::NotLoggedIn,
            kube::Error::Api(status) => Self::Failing {
                code: status.code,
                message: cut(&status.message),
            },
            other => Self::Away(cause(other)),
        }
    }
}

/// Whether the answer was "you may not".
pub(in crate::local::start_page) fn is_forbidden(failed: &kube::Error) -> bool {
    matches!(failed, kube::Error::Api(status) if status.code == 403)
}

/// What is at the bottom of an error; the layers above say only who passed it on.
fn cause(failed: &kube::Error) -> String {
    let mut cause: &dyn std::error::Error = failed;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    // kube's own layer is the whole error when there is nothing below it.
    cut(&cause.to_string())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_cause_is_what_is_said() {
        let refused = std::io::Error::other("connection refused");
        let failed = kube::Error::Service(Box::new(refused));
        assert_eq!(
            Trouble::of(&failed),
            Trouble::Away("connection refused".into())
        );
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        assert_eq!(cut(&"ü".repeat(400)).chars().count(), LONGEST_TEXT + 1);
    }
}

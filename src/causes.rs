//! The chain of an error's causes: all of it in one line, for logs, and whether a socket's timeout is in it.
//!
//! The outermost error says which step failed; the innermost says why. Nobody can mend anything without the second.

use std::error::Error;
use std::io;

/// What a line has at the most, in bytes. Causes may quote what a stranger sent.
const MAX_LENGTH: usize = 1024;

/// All texts from the outermost to the innermost. A cause that its parent has quoted already is not said twice.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Many errors quote their cause at their end.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    // A stranger's control characters could write lines of their own into the log.
    let mut line = line.replace(char::is_control, " ");
    if line.len() > MAX_LENGTH {
        let end = (0..=MAX_LENGTH).rev().find(|at| line.is_char_boundary(*at));
        line.truncate(end.unwrap_or_default());
        line.push('…');
    }
    line
}

/// Whether the kernel gave a connection up: nothing was acknowledged, or taken, for `TCP_USER_TIMEOUT`.
pub fn is_socket_timeout(error: &(dyn Error + 'static)) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return io.kind() == io::ErrorKind::TimedOut;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the list failed")]
    struct Failed(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("the request failed: {0}")]
    struct Middle(#[source] io::Error);

    #[test]
    fn every_cause_is_said_once() {
        let failed = Failed(Middle(io::Error::other("connection\nrefused")));
        assert_eq!(
            causes(&failed),
            "the list failed: the request failed: connection refused"
        );
    }

    #[test]
    fn a_long_cause_is_cut_between_letters() {
        let line = causes(&io::Error::other("ü".repeat(4000)));
        assert!(line.len() <= MAX_LENGTH + '…'.len_utf8() && line.ends_with('…'));
    }
}

//! What the log says of connections that came to nothing: why, and from where, a few times in a while.
//!
//! A handshake that fails because of a certificate is somebody's to mend, often the cluster administrator's: without
//! the reason nobody would find it. Scanners and health checks that only connect are no news.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::slots::NoSlot;
use crate::causes::causes;

/// One line in this time; how many others there were goes along with the next.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct HandshakeFailures(Mutex<Quiet>);

#[derive(Debug, Default)]
struct Quiet {
    until: Option<Instant>,
    unsaid: u64,
}

impl HandshakeFailures {
    /// A handshake failed.
    pub(super) fn failed(&self, address: SocketAddr, failed: &io::Error) {
        if is_ordinary(failed) {
            tracing::debug!(peer.address = %address, error = %failed, "a caller went before the handshake was over");
        } else if let Some(unsaid) = self.may_say(Instant::now()) {
            let error = causes(failed);
            tracing::warn!(peer.address = %address, error, unsaid, "a TLS handshake failed");
        }
    }

    /// There was no slot for a connection.
    pub(super) fn no_slot(&self, address: SocketAddr, why: NoSlot) {
        if let Some(unsaid) = self.may_say(Instant::now()) {
            tracing::warn!(peer.address = %address, unsaid, "a connection was closed: {why}");
        }
    }

    /// Whether a line may be written now, and how many were not before.
    fn may_say(&self, now: Instant) -> Option<u64> {
        // Checked before the line is made: under a flood of bad handshakes, the text of a certificate's error would be
        // the cost.
        let mut quiet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if quiet.until.is_some_and(|until| now < until) {
            quiet.unsaid += 1;
            return None;
        }
        quiet.until = Some(now + LOG_INTERVAL);
        // Taken and not copied: the next line counts from here.
        Some(std::mem::take(&mut quiet.unsaid))
    }
}

/// Whether the other end has only gone away.
fn is_ordinary(failed: &io::Error) -> bool {
    // What a health check of a load balancer or a port scan does to a TLS port.
    matches!(
        failed.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_failures_is_one_line_in_a_while_and_a_count() {
        let failures = HandshakeFailures::default();
        let start = Instant::now();
        assert_eq!(failures.may_say(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(failures.may_say(start + Duration::from_secs(1)), None);
        }
        assert_eq!(failures.may_say(start + LOG_INTERVAL), Some(1000));
    }

    #[test]
    fn a_certificate_is_news_and_a_close_is_none() {
        let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
        assert!(!is_ordinary(&io::Error::new(
            io::ErrorKind::InvalidData,
            certificate
        )));
        assert!(is_ordinary(&io::ErrorKind::UnexpectedEof.into()));
    }
}

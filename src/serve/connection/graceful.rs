//! Runs a connection to its end, which is in order where it can be: GOAWAY, or `Connection: close`.
//!
//! A connection ends in order when the server drains, when its caller was refused as unknown ([`Peer::retire`]), and on
//! HTTP/2 when it was idle for long; HTTP/1 has its header timeout for that.

use std::future::Future;
use std::pin::{Pin, pin};

use super::Peer;
use super::activity::Activity;
use super::error::ConnectionError;
use crate::lifecycle::{PollLast, PollOnOwnWake, Tasks};
use crate::serve::config::ConnectionLimits;

/// What HTTP/1 and HTTP/2 connections have in common here: both run as a future and can be asked to end in order.
pub(super) trait GracefulConnection: Future<Output = Result<(), Self::Failure>> {
    type Failure: Into<ConnectionError>;

    fn end_in_order(self: Pin<&mut Self>);
}

impl<C: GracefulConnection> GracefulConnection for PollLast<C> {
    type Failure = C::Failure;

    fn end_in_order(mut self: Pin<&mut Self>) {
        self.inner().end_in_order();
    }
}

/// Runs a connection to its end.
pub(super) async fn drive<C: GracefulConnection>(
    connection: C,
    peer: &Peer,
    limits: &ConnectionLimits,
    tasks: &Tasks,
    activity: &Activity,
) -> Result<(), ConnectionError> {
    let mut connection = pin!(connection);
    let because = |failed: C::Failure| {
        let ended = failed.into();
        activity.note_end(&ended, limits.exchange_idle_timeout);
        ended
    };
    // Cancel-safe: the connection is only borrowed, and waiting for its end to come changes nothing.
    let end = tokio::select! {
        // The connection first: while it has work, nobody asks whether it has to end.
        biased;
        ended = connection.as_mut() => return ended.map_err(because),
        // Polled only when it is woken itself. The connection is woken for each frame, and asking four timers each time
        // would cost more.
        end = PollOnOwnWake::new(has_to_end(peer, limits, tasks, activity)) => end,
    };
    match end {
        GracefulEnd::InOrder => {
            // The future that was borrowed above goes on here, so requests under way get their responses.
            connection.as_mut().end_in_order();
            connection.as_mut().await.map_err(because)
        }
        // Nothing was asked, so there is nothing to end in order; a caller that is silent would not take part.
        GracefulEnd::Silent => Err(ConnectionError::NoRequest),
    }
}

/// How a connection that has to end does so.
enum GracefulEnd {
    InOrder,
    /// No request was whole within the time for a head, since the handshake.
    Silent,
}

/// Resolves when the server drains, the caller is retired, nothing was asked in time, or the connection was idle for a
/// whole interval.
async fn has_to_end(
    peer: &Peer,
    limits: &ConnectionLimits,
    tasks: &Tasks,
    activity: &Activity,
) -> GracefulEnd {
    // HTTP/2 has no timeout for the first request, and a caller that sends none holds a slot.
    let silent = async {
        // One time for the first request, counted from here; an HTTP/1 connection has its own timer in hyper as well.
        tokio::time::sleep(limits.header_read_timeout).await;
        if activity.has_begun() {
            // It has asked something, so this side of the `select!` never ends.
            std::future::pending::<()>().await;
        }
    };
    // No timer is touched while requests come. Idle is who had no request open, and began none, since the tick before.
    let idle = async {
        let mut look = tokio::time::interval(limits.idle_timeout);
        // The first tick of an interval comes at once.
        look.tick().await;
        let mut idle_before = None;
        loop {
            look.tick().await;
            let idle_now = activity.idle_after();
            // The same count and nothing open: a request that came and went between two looks makes the counts differ.
            if idle_now.is_some() && idle_now == idle_before {
                return;
            }
            idle_before = idle_now;
        }
    };
    // Each side only waits, so those that are dropped lose nothing.
    tokio::select! {
        () = tasks.draining() => GracefulEnd::InOrder,
        () = peer.retired() => GracefulEnd::InOrder,
        () = silent => GracefulEnd::Silent,
        () = idle => GracefulEnd::InOrder,
    }
}

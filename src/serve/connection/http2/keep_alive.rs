//! Whether anybody is still at the other end: a PING now and then, which has to come back in time.
//!
//! RFC 9113 section 6.7. k8s.io/apiserver: `http2.Server.ReadIdleTimeout`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

use crate::serve::config::ConnectionLimits;

#[derive(Debug)]
pub(super) struct KeepAlive {
    ping: Option<PingPong>,
    state: PingState,
    timer: Pin<Box<Sleep>>,
    interval: Duration,
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PingState {
    /// The next PING goes out when the timer ends.
    Quiet,
    /// A PING is out and has to be back when the timer ends.
    Asked,
}

impl KeepAlive {
    pub(super) fn new(ping: Option<PingPong>, limits: &ConnectionLimits) -> Self {
        // A third, so that a connection which dies just after its PING still ends within about half of the idle time.
        let interval = limits.idle_timeout / 3;
        Self {
            ping,
            state: PingState::Quiet,
            timer: Box::pin(sleep(interval)),
            interval,
            // As long as a head may take: more patience with a PING than with a request would be odd.
            timeout: limits.header_read_timeout,
        }
    }

    /// Ready when a PING did not come back in time.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // h2 hands its PING out once, and without it there is nothing to wait for.
        let Some(ping) = &mut self.ping else {
            return Poll::Pending;
        };
        // A loop, as a timer that was just set has to be polled once or nobody is woken by it.
        loop {
            if self.state == PingState::Asked {
                match ping.poll_pong(context) {
                    Poll::Ready(Ok(_)) => {
                        // Back to the long interval: the next PING goes out only after that.
                        self.state = PingState::Quiet;
                        self.timer.as_mut().reset(Instant::now() + self.interval);
                    }
                    // The connection itself says why it failed.
                    Poll::Ready(Err(_)) | Poll::Pending => {}
                }
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            // Either the PING is late, or h2 takes no more of them; both mean that nobody is there.
            if self.state == PingState::Asked || ping.send_ping(Ping::opaque()).is_err() {
                return Poll::Ready(());
            }
            self.state = PingState::Asked;
            self.timer.as_mut().reset(Instant::now() + self.timeout);
        }
    }
}

//! A tunnel: two upgraded connections joined byte for byte.
//!
//! Each direction ends by itself (half-close); neither reads faster than the other end takes (backpressure). While
//! nothing moves it holds no buffer. It ends when both directions have, when nothing has moved for the idle timeout,
//! when one side takes nothing of what is there for it, when its caller may not have it any more, or when the server
//! drains: a WebSocket's caller is then told "policy violation" (1008) or "going away" (1001) after the frame that is
//! under way.

mod direction;
pub(super) mod end;
mod protocol;
pub(super) mod reauthorization;
mod websocket_frames;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use crate::lifecycle::Tasks;
use crate::serve::fairness::Slot;
use crate::serve::refusal::Fault;
use crate::serve::request_context::RequestContext;
use direction::{Direction, DirectionState};
use end::{NotTaken, Side, TunnelEnd};
pub(super) use protocol::Protocol;
use reauthorization::{Reauthorization, Revocation};
use websocket_frames::{GOING_AWAY, NOT_PERMITTED};

/// Both sides must have switched within this time of the 101.
const SWITCH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a caller that was told to go may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a tunnel is made of.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) caller: OnUpgrade,
    pub(super) backend: OnUpgrade,
    pub(super) protocol: Protocol,
    /// Zero is no timeout.
    pub(super) idle_timeout: Duration,
    /// How long one side may leave untaken what is there for it; zero is no timeout.
    pub(super) write_timeout: Duration,
    pub(super) context: Arc<RequestContext>,
    pub(super) reauthorization: Reauthorization,
    pub(super) tasks: Tasks,
    pub(super) _slot: Slot,
}

/// Runs a tunnel to its end.
pub(super) async fn run(setup: Setup) {
    let Setup {
        caller,
        backend,
        protocol,
        idle_timeout,
        write_timeout,
        context,
        reauthorization,
        tasks,
        _slot,
    } = setup;
    // Both come after this task was started: the caller's when its 101 was written, the backend's as its task sees the
    // 101.
    let switched = async { tokio::try_join!(caller, backend) };
    let (caller, backend) = match tokio::time::timeout(SWITCH_TIMEOUT, switched).await {
        Ok(Ok(both)) => both,
        Ok(Err(failed)) => return tracing::debug!(error = %failed, "upgrade failed on one side"),
        Err(_) => return tracing::debug!("upgrade not completed on both sides in time"),
    };
    let mut tunnel = Tunnel {
        caller: TunnelEnd::caller(caller, write_timeout),
        backend: TunnelEnd::backend(backend, write_timeout),
        up: Direction::default(),
        down: match protocol {
            Protocol::WebSocket => Direction::of_frames(),
            Protocol::Spdy => Direction::default(),
        },
        context,
    };
    // Cancel-safe: what was read and not written yet is in the tunnel, which goes on with it below.
    tokio::select! {
        ended = tunnel.carry(idle_timeout) => {
            if let Err(failed) = ended {
                tunnel.broke_off(&failed);
            }
            return;
        }
        // The permit is looked at beside the bytes and not between them, so a tunnel that is busy ends just as soon.
        revoked = reauthorization.revoked() => {
            tunnel.note(&revoked);
            // SPDY has no word for it, so its end is that of both connections.
            if protocol == Protocol::WebSocket {
                tunnel.send_close_frame(NOT_PERMITTED).await;
            }
            return;
        }
        // SPDY has no goodbye to send, so such a tunnel is carried on below until it ends or the drain cuts it.
        () = tasks.draining() => {}
    }
    if protocol == Protocol::WebSocket {
        tunnel.send_close_frame(GOING_AWAY).await;
    } else if let Err(failed) = tunnel.carry(idle_timeout).await {
        tunnel.broke_off(&failed);
    }
}

struct Tunnel {
    caller: TunnelEnd,
    backend: TunnelEnd,
    up: Direction,
    down: Direction,
    context: Arc<RequestContext>,
}

impl Tunnel {
    /// Carries both ways until both have ended or nothing has moved for the timeout.
    ///
    /// Cancel-safe: all state is in the tunnel, so it can be carried on after the future was dropped.
    async fn carry(&mut self, idle_timeout: Duration) -> io::Result<()> {
        if idle_timeout.is_zero() {
            // Without a timeout there is nothing to look at, and no timer is made.
            return poll_fn(|context| self.poll(context)).await;
        }
        // Set once a timeout and not for each byte: it looks whether anything has moved since it looked before. So an
        // idle tunnel ends after one timeout at the least and two at the most.
        let mut look = std::pin::pin!(tokio::time::sleep(idle_timeout));
        let mut seen = self.context.moved();
        poll_fn(|context| {
            // Bytes first: what arrived just as the timer fired must count.
            if let Poll::Ready(ended) = self.poll(context) {
                return Poll::Ready(ended);
            }
            // A loop, as the timer has to be polled once after it was set, or it would wake nobody.
            while look.as_mut().poll(context).is_ready() {
                let moved = self.context.moved();
                if moved == seen {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                seen = moved;
                look.as_mut().reset(Instant::now() + idle_timeout);
            }
            Poll::Pending
        })
        .await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Both ways are polled each time: which of them woke the task is not known.
        let up = self.poll_up(context)?;
        let down = self.poll_down(context)?;
        // Half-close: a side that has sent all may still have much to read.
        if up.is_ready() && down.is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn poll_up(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut moved = 0;
        let polled = self
            .up
            .poll(context, &mut self.caller, &mut self.backend, &mut moved);
        // Noted even if the poll failed, as the log counts what went over.
        self.context.went_up(moved);
        polled
    }

    fn poll_down(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut moved = 0;
        let polled = self
            .down
            .poll(context, &mut self.backend, &mut self.caller, &mut moved);
        self.context.went_down(moved);
        polled
    }

    /// Says in both logs who made a tunnel end by taking nothing; any other end is that of a connection.
    fn broke_off(&self, failed: &io::Error) {
        let Some(NotTaken(side)) = NotTaken::cause_of(failed) else {
            return tracing::debug!(error = %failed, "a tunnel broke off");
        };
        self.context.note(|record| {
            record.reason = Some("tunnel_not_taken");
            record.fault = Some(match side {
                Side::Caller => Fault::Caller,
                Side::Backend => Fault::Backend,
            });
        });
        tracing::info!(
            audit_id = self.context.audit_id().as_str(),
            user = self.context.user(),
            "a tunnel was ended: {failed}"
        );
    }

    /// Says in both logs why a tunnel is ended from here.
    fn note(&self, revoked: &Revocation) {
        let cause = std::error::Error::source(revoked).map(ToString::to_string);
        tracing::info!(
            audit_id = self.context.audit_id().as_str(),
            cause,
            "a tunnel was ended: {revoked}"
        );
        self.context.note(|record| {
            record.reason = Some(revoked.reason());
            record.fault = Some(match revoked {
                Revocation::Forbidden(_) | Revocation::CertificateExpired => Fault::Caller,
                Revocation::NoResponse(_) => Fault::Server,
            });
        });
    }

    /// Finishes the frame that is under way, tells the caller to go, and waits until it has gone.
    async fn send_close_frame(&mut self, close: [u8; 4]) {
        let closing = async {
            poll_fn(|context| self.poll_boundary(context)).await?;
            if self.down.state == DirectionState::Open {
                self.down.pending.extend_from_slice(&close);
                self.down.state = DirectionState::Ending;
            }
            poll_fn(|context| self.poll_down(context)).await?;
            poll_fn(|context| self.poll_up(context)).await
        };
        match tokio::time::timeout(CLOSE_TIMEOUT, closing).await {
            Ok(Ok(())) => {}
            Ok(Err(failed)) => {
                tracing::debug!(error = %failed, "a tunnel broke off at its close frame")
            }
            Err(_) => tracing::debug!("a caller did not close in time"),
        }
    }

    /// Carries on until no frame to the caller is under way.
    fn poll_boundary(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut arrived = self.down.at_boundary() || self.down.state != DirectionState::Open;
        if !arrived {
            let _ = self.poll_up(context)?;
            arrived = self.poll_down(context)?.is_ready() || self.down.at_boundary();
        }
        if arrived {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}

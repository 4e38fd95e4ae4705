//! A tunnel: two upgraded connections joined byte for byte.
//!
//! Each direction ends by itself (half-close); neither reads faster than the other end takes (backpressure). While nothing
//! moves it holds no buffer. It ends when both directions have, when nothing has moved for the idle limit, when one side takes
//! nothing of what is there for it, when its caller may not have it any more, or when the server drains: a WebSocket's caller
//! is then told "policy violation" (1008) or "going away" (1001) after the frame that is under way.

pub(super) mod end;
pub(super) mod reauthorization;
mod websocket_frames;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::upgrade::Protocol;
use crate::lifecycle::Tasks;
use crate::serve::fairness::Place;
use crate::serve::refusal::Fault;
use crate::serve::request_context::RequestContext;
use end::{End, NotTaken, Side};
use reauthorization::{Ended, Standing};
use websocket_frames::{Frames, GOING_AWAY, NOT_PERMITTED};

/// How much is read at once. It lies on the stack and is copied only if the other end does not take it all.
const READ: usize = 16 * 1024;

/// Both sides must have switched within this time of the 101.
const SWITCH_LIMIT: Duration = Duration::from_secs(10);

/// How long a caller that was told to go may take to close.
const FAREWELL_LIMIT: Duration = Duration::from_secs(5);

/// What a tunnel is made of.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) caller: OnUpgrade,
    pub(super) backend: OnUpgrade,
    pub(super) protocol: Protocol,
    /// Zero is no limit.
    pub(super) idle_limit: Duration,
    /// How long one side may leave untaken what is there for it; zero is no limit.
    pub(super) write_timeout: Duration,
    pub(super) context: Arc<RequestContext>,
    pub(super) standing: Standing,
    pub(super) tasks: Tasks,
    pub(super) _place: Place,
}

/// Runs a tunnel to its end.
pub(super) async fn run(ends: Ends) {
    let Ends {
        caller,
        backend,
        protocol,
        idle_limit,
        write_timeout,
        context,
        standing,
        tasks,
        _place,
    } = ends;
    let switched = async { tokio::try_join!(caller, backend) };
    let (caller, backend) = match tokio::time::timeout(SWITCH_LIMIT, switched).await {
        Ok(Ok(both)) => both,
        Ok(Err(failed)) => return tracing::debug!(error = %failed, "a side did not switch"),
        Err(_) => return tracing::debug!("a side did not switch in time"),
    };
    let mut tunnel = Tunnel {
        caller: End::caller(caller, write_timeout),
        backend: End::backend(backend, write_timeout),
        up: Direction::default(),
        down: Direction {
            frames: (protocol == Protocol::WebSocket).then(Frames::default),
            ..Direction::default()
        },
        context,
    };
    tokio::select! {
        ended = tunnel.carry(idle_limit) => {
            if let Err(failed) = ended {
                tunnel.broke_off(&failed);
            }
            return;
        }
        ended = standing.ended() => {
            tunnel.note(&ended);
            // SPDY has no word for it, so its end is that of both connections.
            if protocol == Protocol::WebSocket {
                tunnel.say_farewell(NOT_PERMITTED).await;
            }
            return;
        }
        () = tasks.draining() => {}
    }
    if protocol == Protocol::WebSocket {
        tunnel.say_farewell(GOING_AWAY).await;
    } else if let Err(failed) = tunnel.carry(idle_limit).await {
        tunnel.broke_off(&failed);
    }
}

/// One way through the tunnel.
#[derive(Debug, Default)]
struct Direction {
    /// What was read and not taken yet.
    pending: Vec<u8>,
    taken: usize,
    state: State,
    /// Follows a WebSocket's frames, where somebody has to know their borders.
    frames: Option<Frames>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The reader's end has come, the writer is to be told.
    Ending,
    Ended,
}

impl Direction {
    /// Moves bytes until one side is not ready or the direction has ended; says how many moved.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut End,
        to: &mut End,
        moved: &mut usize,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_pending(context, to, moved))?;
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    // A writer that is gone already needs no telling.
                    let _ = ready!(to.poll_shutdown(context));
                    self.state = State::Ended;
                }
                State::Open => {
                    let mut stack = [std::mem::MaybeUninit::uninit(); READ];
                    let mut buffer = ReadBuf::uninit(&mut stack);
                    match from.poll_read(context, &mut buffer) {
                        Poll::Ready(read) => read?,
                        Poll::Pending => {
                            ready!(to.poll_flush(context))?;
                            return Poll::Pending;
                        }
                    }
                    self.write(context, buffer.filled(), to, moved)?;
                }
            }
        }
    }

    /// Writes what was just read, and keeps what is not taken at once.
    fn write(
        &mut self,
        context: &mut Context<'_>,
        read: &[u8],
        to: &mut End,
        moved: &mut usize,
    ) -> io::Result<()> {
        if read.is_empty() {
            self.state = State::Ending;
            return Ok(());
        }
        let taken = match to.poll_write(context, read) {
            Poll::Ready(taken) => taken?,
            Poll::Pending => 0,
        };
        self.passed(&read[..taken], moved);
        self.pending.extend_from_slice(&read[taken..]);
        Ok(())
    }

    fn poll_pending(
        &mut self,
        context: &mut Context<'_>,
        to: &mut End,
        moved: &mut usize,
    ) -> Poll<io::Result<()>> {
        while self.taken < self.pending.len() {
            let taken = ready!(to.poll_write(context, &self.pending[self.taken..]))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let rest = std::mem::take(&mut self.pending);
            self.passed(&rest[self.taken..self.taken + taken], moved);
            self.pending = rest;
            self.taken += taken;
        }
        self.pending = Vec::new();
        self.taken = 0;
        Poll::Ready(Ok(()))
    }

    fn passed(&mut self, bytes: &[u8], moved: &mut usize) {
        *moved += bytes.len();
        if let Some(frames) = &mut self.frames {
            frames.pass(bytes);
        }
    }

    fn at_boundary(&self) -> bool {
        self.pending.is_empty() && self.frames.as_ref().is_some_and(Frames::at_boundary)
    }
}

struct Tunnel {
    caller: End,
    backend: End,
    up: Direction,
    down: Direction,
    context: Arc<RequestContext>,
}

impl Tunnel {
    /// Carries both ways until both have ended or nothing has moved for the limit.
    ///
    /// Cancel-safe: all state is in the tunnel, so it can be carried on after the future was dropped.
    async fn carry(&mut self, idle_limit: Duration) -> io::Result<()> {
        if idle_limit.is_zero() {
            return poll_fn(|context| self.poll(context)).await;
        }
        let mut look = std::pin::pin!(tokio::time::sleep(idle_limit));
        let mut seen = self.context.moved();
        poll_fn(|context| {
            if let Poll::Ready(ended) = self.poll(context) {
                return Poll::Ready(ended);
            }
            while look.as_mut().poll(context).is_ready() {
                let moved = self.context.moved();
                if moved == seen {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                seen = moved;
                look.as_mut().reset(Instant::now() + idle_limit);
            }
            Poll::Pending
        })
        .await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let up = self.poll_up(context)?;
        let down = self.poll_down(context)?;
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
    fn note(&self, ended: &Ended) {
        let cause = std::error::Error::source(ended).map(ToString::to_string);
        tracing::info!(
            audit_id = self.context.audit_id().as_str(),
            cause,
            "a tunnel was ended: {ended}"
        );
        self.context.note(|record| {
            record.reason = Some(ended.reason());
            record.fault = Some(match ended {
                Ended::Refused(_) | Ended::Certificate => Fault::Caller,
                Ended::ApiServerError(_) => Fault::Server,
            });
        });
    }

    /// Finishes the frame that is under way, tells the caller to go, and waits until it has gone.
    async fn say_farewell(&mut self, close: [u8; 4]) {
        let farewell = async {
            poll_fn(|context| self.poll_boundary(context)).await?;
            if self.down.state == State::Open {
                self.down.pending.extend_from_slice(&close);
                self.down.state = State::Ending;
            }
            poll_fn(|context| self.poll_down(context)).await?;
            poll_fn(|context| self.poll_up(context)).await
        };
        match tokio::time::timeout(FAREWELL_LIMIT, farewell).await {
            Ok(Ok(())) => {}
            Ok(Err(failed)) => {
                tracing::debug!(error = %failed, "a tunnel broke off at its farewell")
            }
            Err(_) => tracing::debug!("a caller did not go in time"),
        }
    }

    /// Carries on until no frame to the caller is under way.
    fn poll_boundary(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut arrived = self.down.at_boundary() || self.down.state != State::Open;
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

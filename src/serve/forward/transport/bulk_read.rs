//! How much one read takes from an HTTP/1 backend. In: the pieces of a body as they pass. Out: a larger read for a long
//! body.
//!
//! One read is one piece of a body, and reads cost the kernel more than copying does: with pieces of 64 KiB a GB takes
//! a third more CPU than with a MiB. But a caller that stops reading holds two pieces. So there are so many large ones
//! at the same time, shared as all slots are, and every other body comes in small ones.

use std::sync::Arc;

use super::io::IoState;
use crate::serve::fairness::{Slot, Slots};
use crate::serve::request_context::RequestContext;

/// Bytes of one read of a long body.
pub(in crate::serve::forward) const BULK_READ_BYTES: usize = 1 << 20;

/// Long bodies that are read in large pieces at the same time.
const MAX_BULK_READS: usize = 16;

/// Bytes of a body after which it is a long one. Event streams and pages seldom are.
const LONG_BODY_BYTES: usize = 512 << 10;

/// The slots for large reads.
pub(in crate::serve::forward) fn slots() -> Arc<Slots> {
    Slots::new(MAX_BULK_READS)
}

/// One body on its way.
#[derive(Debug, Default)]
pub(in crate::serve::forward) struct BulkRead {
    passed: usize,
    /// Given back with the body: also a slow one keeps it that long, so one user has a share and no more.
    slot: Option<Slot>,
}

impl BulkRead {
    /// A piece of the body went on.
    pub(in crate::serve::forward) fn passed(
        &mut self,
        bytes: usize,
        slots: &Arc<Slots>,
        context: &RequestContext,
        state: &IoState,
    ) {
        self.passed = self.passed.saturating_add(bytes);
        // Short bodies, which are most, never touch the shared slots.
        if self.slot.is_some() || self.passed < LONG_BODY_BYTES {
            return;
        }
        // Asked again with each piece while there is none: a long body may find one later.
        self.slot = context.take_slot(slots);
        if self.slot.is_some() {
            // The size that hyper reads with is set on the connection, and set back before the connection is used
            // again.
            state.read_at_most(BULK_READ_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::io::{Io, READ_BYTES};
    use super::super::stream::BackendStream;
    use super::*;

    fn context(user: &str) -> Arc<RequestContext> {
        let context = RequestContext::for_tests();
        context.note(|record| {
            record.user = user.to_owned();
            record.namespace = format!("of-{user}").into();
        });
        context
    }

    /// A connection on which more waits than one read takes.
    async fn full() -> (Io, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test's own connection")]
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap().0);
        let mut unread = 0;
        while unread <= 2 * READ_BYTES {
            theirs.writable().await.unwrap();
            unread += theirs.try_write(&[7; READ_BYTES]).unwrap_or(0);
        }
        let mut seen = vec![0; unread];
        while ours.peek(&mut seen).await.unwrap() <= READ_BYTES {}
        (Io::new(BackendStream::Plain(ours)), theirs)
    }

    #[tokio::test]
    async fn a_read_is_small_until_the_body_is_long() {
        let (mut io, _theirs) = full().await;
        let (state, slots) = (io.state(), slots());
        let mut buffer = vec![0; BULK_READ_BYTES];
        let mut read = async || Pin::new(&mut io).read(&mut buffer).await.unwrap();
        assert_eq!(read().await, READ_BYTES);
        let (context, mut body) = (context("a"), BulkRead::default());
        body.passed(LONG_BODY_BYTES - 1, &slots, &context, &state);
        assert_eq!(slots.taken(), 0);
        body.passed(1, &slots, &context, &state);
        assert_eq!(slots.taken(), 1);
        drop(body);
        assert_eq!(slots.taken(), 0);
        assert!(read().await > READ_BYTES);
    }

    #[test]
    fn one_user_has_a_share_of_the_large_reads() {
        let (slots, state) = (slots(), Arc::<IoState>::default());
        let begin = |user: &str| {
            let mut body = BulkRead::default();
            body.passed(LONG_BODY_BYTES, &slots, &context(user), &state);
            body
        };
        let of_one: Vec<BulkRead> = (0..MAX_BULK_READS).map(|_| begin("a")).collect();
        let large = of_one.iter().filter(|body| body.slot.is_some());
        assert_eq!(large.count(), MAX_BULK_READS / 4);
        assert!(begin("b").slot.is_some());
    }
}

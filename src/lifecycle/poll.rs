//! When a part of a task is polled: only if it was woken itself, or only after everybody else.
//!
//! A task is polled as a whole, whichever of its parts was woken. These two futures have a waker of their own, so that
//! they know.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// A waker that wakes the task and remembers that it was this one.
#[derive(Debug, Default)]
struct FlagWaker {
    is_woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for FlagWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Set before the task is woken, or it could look and find nothing.
        self.is_woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl FlagWaker {
    /// Whether it was woken since it was asked last. Whoever asks is woken with it.
    fn take_woken(&self, context: &Context<'_>) -> bool {
        // Registered before the flag is read: a wake in between is then not lost.
        self.task.register(context.waker());
        // Read before it is swapped, as nearly every poll finds nothing and a swap costs the cache line.
        self.is_woken.load(Ordering::Relaxed) && self.is_woken.swap(false, Ordering::Acquire)
    }
}

/// Polls a future only when it has been woken itself.
///
/// Whatever waits for the server's end beside its work would otherwise look at it each time that the work goes on,
/// under a lock that all tasks share.
#[derive(Debug)]
pub struct PollOnOwnWake<F> {
    future: Pin<Box<F>>,
    waker: Arc<FlagWaker>,
}

impl<F> PollOnOwnWake<F> {
    pub fn new(future: F) -> Self {
        let waker = FlagWaker::default();
        // Woken once by birth: a future has to be polled to begin.
        waker.is_woken.store(true, Ordering::Relaxed);
        Self {
            future: Box::pin(future),
            waker: Arc::new(waker),
        }
    }
}

impl<F: Future> Future for PollOnOwnWake<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if !self.waker.take_woken(context) {
            // Some other part of the task was woken; this one has nothing new to say.
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.waker));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

/// Polls a future only after every other task that is ready has run.
///
/// What those tasks have to say through it then goes out together: the responses of many requests in one write.
#[derive(Debug)]
pub struct PollLast<F> {
    future: Pin<Box<F>>,
    turn: Arc<FlagWaker>,
    asked: bool,
}

impl<F> PollLast<F> {
    pub fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            turn: Arc::default(),
            asked: false,
        }
    }

    /// The future itself.
    pub fn inner(&mut self) -> Pin<&mut F> {
        self.future.as_mut()
    }
}

impl<F: Future> Future for PollLast<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let has_turn = self.turn.take_woken(context);
        if !self.asked {
            self.asked = true;
            let waker = Waker::from(Arc::clone(&self.turn));
            // Polled once, it hands the waker to the runtime, which calls it when nothing else is left to run.
            let asking = pin!(tokio::task::yield_now());
            let _ = asking.poll(&mut Context::from_waker(&waker));
            return Poll::Pending;
        }
        // The task was woken for something else. The turn that was asked for comes later and finds everything together.
        if !has_turn {
            return Poll::Pending;
        }
        self.asked = false;
        self.future.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use tokio::sync::Notify;
    use tokio::task::{JoinSet, yield_now};

    use super::*;

    #[tokio::test]
    async fn a_future_is_polled_once_and_then_only_when_it_is_woken_itself() {
        let ends = Notify::new();
        let mut polls = 0;
        let counted = poll_fn(|context| {
            polls += 1;
            pin!(ends.notified()).poll(context)
        });
        let mut waiting = PollOnOwnWake::new(counted);
        for _ in 0..3 {
            tokio::select! {
                biased;
                () = &mut waiting => panic!("nobody has ended it"),
                () = yield_now() => {}
            }
        }
        drop(waiting);
        assert_eq!(polls, 1);
    }

    #[tokio::test]
    async fn a_future_that_is_woken_itself_comes_to_its_end() {
        let ends = Arc::new(Notify::new());
        let theirs = Arc::clone(&ends);
        let mut others = JoinSet::new();
        others.spawn(async move {
            yield_now().await;
            theirs.notify_one();
        });
        tokio::select! {
            () = PollOnOwnWake::new(ends.notified()) => {}
            () = pending() => {}
        }
        assert!(others.join_next().await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn what_others_say_at_the_same_time_is_seen_at_once() {
        let (say, mut said) = tokio::sync::mpsc::unbounded_channel();
        let mut others = JoinSet::new();
        for number in 0..10 {
            let say = say.clone();
            others.spawn(async move { say.send(number).unwrap() });
        }
        drop(say);
        let mut seen = Vec::new();
        PollLast::new(poll_fn(|context| {
            let mut together = 0;
            while let Poll::Ready(next) = said.poll_recv(context) {
                if next.is_none() {
                    return Poll::Ready(());
                }
                together += 1;
                seen.push(together);
            }
            Poll::Pending
        }))
        .await;
        assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    }
}

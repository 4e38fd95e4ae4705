//! What all pages that are rewritten at once may hold together.
//!
//! In: how many bytes a page is about to hold. Out: a [`Share`], given back when the page is done, or nothing: then the
//! page passes untouched, which the log says. One page is bounded by [`super::PageLimits`] and by its decoder's window;
//! there may be thousands of pages, so only this holds the process within its memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bytes for all pages of the process together.
pub(crate) const MAX_TOTAL: usize = 64 * 1024 * 1024;

/// Bytes that are left for pages.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicUsize,
    refused: AtomicU64,
}

/// A page's part of the [`Budget`].
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(bytes),
            refused: AtomicU64::new(0),
        })
    }

    /// A share of so many bytes; `None`: so much is not left.
    pub(super) fn share(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let mut share = Share {
            budget: Arc::clone(self),
            bytes: 0,
        };
        share.grow_to(bytes).then_some(share)
    }

    /// The log gets a line for the first refusal and then ever fewer, as there may be thousands a second.
    fn note_refusal(&self) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if refused.is_power_of_two() {
            tracing::warn!(
                refused,
                "pages are not rewritten, too many are on their way at once"
            );
        }
    }
}

impl Share {
    /// Makes the share at least so large; `false`: so much is not left, and the share stays as it is.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        // Nothing is given back before the page is over: a window that was large keeps its memory.
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else {
            return true;
        };
        let take = |left: usize| left.checked_sub(more);
        let taken = self
            .budget
            .left
            // In one step, so that two pages can't both take what is left.
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        match taken {
            Ok(_) => self.bytes = bytes,
            Err(_) => self.budget.note_refusal(),
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_given_back_and_never_exceed_the_whole() {
        let budget = Budget::new(100);
        let mut one = budget.share(60).unwrap();
        assert!(budget.share(41).is_none());
        let two = budget.share(30).unwrap();
        assert!(one.grow_to(70) && one.grow_to(10) && !one.grow_to(71));
        drop(two);
        assert!(one.grow_to(100) && budget.share(1).is_none());
        drop(one);
        assert!(budget.share(100).is_some());
        assert_eq!(budget.refused.load(Ordering::Relaxed), 3);
    }
}

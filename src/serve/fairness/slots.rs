//! Slots of which there are so many: requests in flight, tunnels.
//!
//! In: who asks, and in which namespace. Out: a [`Slot`], given back when it is dropped, or why there is none. One user
//! has a quarter of all slots at the most, one namespace a half, so that others find some left. `system:masters` are
//! let through a full house, as in `pkg/server/filters/maxinflight.go` of k8s.io/apiserver; memory is bounded for them
//! too, so there are a quarter more slots for them and no others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::sketch::{Cells, Counters, Names};

/// One user has no more than this part of all slots.
const USER_PART: usize = 4;

/// One namespace has no more than this part of all slots.
const NAMESPACE_PART: usize = 2;

/// So much more, as a part of all slots, is for `system:masters`; [`MIN_RESERVE`] at least.
const RESERVE_PART: usize = 4;
const MIN_RESERVE: usize = 4;

/// Whose a slot is to be.
#[derive(Debug, Clone, Copy)]
pub enum SlotOwner<'a> {
    /// A member of `system:masters`.
    Master,
    User(&'a str),
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("all places are taken")]
    Everybody,
    #[error("this user has a full share of all places")]
    User,
    #[error("this namespace has a full share of all places")]
    Namespace,
}

/// All slots of one kind.
#[derive(Debug)]
pub struct Slots {
    most: usize,
    taken: AtomicUsize,
    names: Names,
    users: Counters,
    namespaces: Counters,
    refused: [AtomicU64; 3],
}

/// One slot.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    user: Option<Cells>,
    namespace: Option<Cells>,
}

impl Slots {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            taken: AtomicUsize::new(0),
            names: Names::default(),
            users: Counters::default(),
            namespaces: Counters::default(),
            refused: Default::default(),
        })
    }

    /// Takes a slot. `namespace` is empty for what is in none.
    ///
    /// # Errors
    /// There is none left, or none left for this user or namespace.
    pub fn take(self: &Arc<Self>, owner: SlotOwner<'_>, namespace: &str) -> Result<Slot, Full> {
        // From here on the slot gives back what it has, whichever share is full.
        self.taken.fetch_add(1, Ordering::Relaxed);
        let mut slot = Slot {
            slots: Arc::clone(self),
            user: None,
            namespace: None,
        };
        self.fill(&mut slot, owner, namespace)
            .inspect_err(|full| self.count(*full))?;
        Ok(slot)
    }

    fn fill(&self, slot: &mut Slot, owner: SlotOwner<'_>, namespace: &str) -> Result<(), Full> {
        // Counts this one already, so the limit is met and not exceeded.
        let taken = self.taken.load(Ordering::Relaxed);
        let SlotOwner::User(user) = owner else {
            // At least a few, as a quarter of a small limit may be none.
            let reserve = (self.most / RESERVE_PART).max(MIN_RESERVE);
            let fits = taken <= self.most.saturating_add(reserve);
            return fits.then_some(()).ok_or(Full::Everybody);
        };
        if taken > self.most {
            return Err(Full::Everybody);
        }
        let cells = self.names.cells(user);
        // Noted in the slot before it is judged, so that a refusal gives it back like any other end.
        slot.user = Some(cells);
        if self.users.add(cells) > part(self.most, USER_PART) {
            return Err(Full::User);
        }
        if namespace.is_empty() {
            return Ok(());
        }
        let cells = self.names.cells(namespace);
        slot.namespace = Some(cells);
        if self.namespaces.add(cells) > part(self.most, NAMESPACE_PART) {
            return Err(Full::Namespace);
        }
        Ok(())
    }

    fn count(&self, full: Full) {
        self.refused[full as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many are taken now.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// How often there was no slot, for this reason.
    pub fn refused(&self, full: Full) -> u64 {
        self.refused[full as usize].load(Ordering::Relaxed)
    }
}

fn part(most: usize, part: usize) -> u32 {
    // At least one, or a small limit would let nobody in.
    u32::try_from((most / part).max(1)).unwrap_or(u32::MAX)
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Self {
            slots,
            user,
            namespace,
        } = self;
        if let Some(cells) = user {
            slots.users.remove(*cells);
        }
        if let Some(cells) = namespace {
            slots.namespaces.remove(*cells);
        }
        slots.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(slots: &Arc<Slots>, user: &str, namespace: &str) -> (Vec<Slot>, Full) {
        let mut held = Vec::new();
        loop {
            match slots.take(SlotOwner::User(user), namespace) {
                Ok(slot) => held.push(slot),
                Err(full) => return (held, full),
            }
        }
    }

    #[test]
    fn one_user_takes_a_quarter_and_another_still_gets_in() {
        let slots = Slots::new(100);
        let (greedy, full) = fill(&slots, "greedy", "a");
        assert_eq!((greedy.len(), full), (25, Full::User));
        assert!(slots.take(SlotOwner::User("alice"), "a").is_ok());
        drop(greedy);
        assert_eq!(slots.taken(), 0);
        assert_eq!(fill(&slots, "greedy", "a").0.len(), 25);
    }

    #[test]
    fn one_namespace_takes_a_half_however_many_users_it_has() {
        let slots = Slots::new(100);
        let users = ["a", "b", "c", "d"];
        let held: Vec<_> = users.map(|user| fill(&slots, user, "tenant").0).into();
        assert_eq!(held.iter().map(Vec::len).sum::<usize>(), 50);
        assert_eq!(slots.refused(Full::Namespace), 2);
        assert!(slots.take(SlotOwner::User("a2"), "other").is_ok());
        assert!(slots.take(SlotOwner::User("a2"), "").is_ok());
    }

    #[test]
    fn masters_come_into_a_full_house_up_to_a_bound() {
        let slots = Slots::new(8);
        let users = ["a", "b", "c", "d", "e"];
        let held: Vec<_> = users.map(|user| fill(&slots, user, "").0).into();
        assert_eq!(held.iter().map(Vec::len).sum::<usize>(), 8);
        let refused = slots.take(SlotOwner::User("f"), "").map(drop);
        assert_eq!(refused, Err(Full::Everybody));
        let mut masters = Vec::new();
        while let Ok(slot) = slots.take(SlotOwner::Master, "") {
            masters.push(slot);
        }
        assert_eq!(masters.len(), MIN_RESERVE);
    }

    #[test]
    fn one_slot_is_enough_for_one_user() {
        let slots = Slots::new(1);
        let held = slots.take(SlotOwner::User("a"), "n").unwrap();
        assert!(slots.take(SlotOwner::User("a"), "n").is_err());
        drop(held);
        assert!(slots.take(SlotOwner::User("a"), "n").is_ok());
    }
}

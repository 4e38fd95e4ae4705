//! Where a name's numbers are kept: a count-min sketch of two rows, its size fixed at the start.
//!
//! Two names may meet in one row and seldom do in both; what holds for a name is the smaller of its two numbers. The
//! hash has a random seed a process, so that nobody can choose a name that meets another one.
//!
//! <https://en.wikipedia.org/wiki/Count%E2%80%93min_sketch>

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use foldhash::quality::RandomState;

/// Cells of one row; two rows of counters are 32 KiB.
const ROW: u16 = 4096;

/// The two cells of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cells([u16; 2]);

/// Finds the cells of names.
#[derive(Debug, Default)]
pub(super) struct Names(RandomState);

impl Names {
    pub(super) fn cells(&self, name: &(impl Hash + ?Sized)) -> Cells {
        // Two independent halves of one hash serve as two hashes.
        let [first, second, third, fourth, ..] = self.0.hash_one(name).to_le_bytes();
        let cell = |bytes| u16::from_le_bytes(bytes) % ROW;
        Cells([cell([first, second]), cell([third, fourth])])
    }
}

/// How much each name holds.
#[derive(Debug)]
pub(super) struct Counters([Box<[AtomicU32]>; 2]);

impl Default for Counters {
    fn default() -> Self {
        Self([(); 2].map(|()| (0..ROW).map(|_| AtomicU32::new(0)).collect()))
    }
}

impl Counters {
    fn at(&self, cells: Cells) -> [&AtomicU32; 2] {
        let [first, second] = cells.0.map(usize::from);
        [&self.0[0][first], &self.0[1][second]]
    }

    /// Adds one, and says how many there are then.
    pub(super) fn add(&self, cells: Cells) -> u32 {
        let [first, second] = self.at(cells);
        // Not one step for both: this may miss those who are just being added, and no others.
        let first = first.fetch_add(1, Ordering::Relaxed);
        first.min(second.fetch_add(1, Ordering::Relaxed)) + 1
    }

    pub(super) fn remove(&self, cells: Cells) {
        for counter in self.at(cells) {
            counter.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// When each name may have its next turn; see [`super::Rate`].
#[derive(Debug)]
pub(super) struct Moments([Box<[AtomicU64]>; 2]);

impl Default for Moments {
    fn default() -> Self {
        Self([(); 2].map(|()| (0..ROW).map(|_| AtomicU64::new(0)).collect()))
    }
}

impl Moments {
    pub(super) fn at(&self, cells: Cells) -> [&AtomicU64; 2] {
        let [first, second] = cells.0.map(usize::from);
        [&self.0[0][first], &self.0[1][second]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_meet_in_one_row_do_not_count_for_each_other() {
        let counters = Counters::default();
        counters.add(Cells([1, 1]));
        counters.add(Cells([1, 2]));
        counters.add(Cells([1, 2]));
        assert_eq!(counters.add(Cells([1, 1])), 2);
        counters.remove(Cells([1, 1]));
        assert_eq!(counters.add(Cells([1, 1])), 2);
    }

    #[test]
    fn a_million_names_take_no_more_room() {
        let (names, counters) = (Names::default(), Counters::default());
        for name in 0..1_000_000_u32 {
            counters.remove({
                let cells = names.cells(&name);
                counters.add(cells);
                cells
            });
        }
        assert_eq!(counters.add(names.cells("alice")), 1);
    }
}

//! Inputs made from those that are kept: the same ones on each machine, as they come from a seed and the kept inputs
//! alone.
//!
//! In: the kept inputs of a target. Out: any number of made ones, which libFuzzer then only reads. What libFuzzer makes
//! up itself hangs on what it sees of the running program, addresses and times among it, so its seed makes no two runs
//! the same, and a check of every change must say the same twice.
//!
//! Each made input hangs on its own number, and on the kept ones that it is made from, whatever their names and order
//! are. So one more kept input changes few of the made ones, and nobody meets the findings of others.

use fastrand::Rng;

/// Longer inputs are for libFuzzer's own looking.
const MAX_LENGTH: usize = 4096;

/// Changes to one input, at the most.
const MAX_CHANGES: usize = 6;

/// What separates and quotes in the formats that are read here.
const SIGNS: &[u8] = b"\0\t\n\r !\"#$%&'()*+,-./0:;<=>?@[\\]^_`{|}~\x7f\x80\xe2\xff";

/// Makes inputs from kept ones.
#[derive(Debug)]
pub(super) struct Maker {
    seed: u64,
    /// With a number that hangs on their bytes.
    kept: Vec<(u64, Vec<u8>)>,
}

impl Maker {
    pub(super) fn new(seed: u64, kept: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let numbered = kept.into_iter().map(|input| (number(&input), input));
        Self {
            seed,
            kept: numbered.collect(),
        }
    }

    /// The made input of a number.
    pub(super) fn input(&self, at: u64) -> Vec<u8> {
        let mut random = Rng::with_seed(mixed(mixed(self.seed) ^ at));
        let mut input = self.any(&mut random).to_vec();
        for _ in 0..random.usize(1..=MAX_CHANGES) {
            self.change(&mut random, &mut input);
        }
        input.truncate(MAX_LENGTH);
        input
    }

    /// One of those that are kept. They draw lots, so that one more changes nothing where it does not win.
    fn any(&self, random: &mut Rng) -> &[u8] {
        let draw = random.u64(..);
        let lot = |(number, _): &&(u64, Vec<u8>)| mixed(draw ^ number);
        let winner = self.kept.iter().max_by_key(lot);
        winner.map_or(&[], |(_, input)| input)
    }

    fn change(&self, random: &mut Rng, input: &mut Vec<u8>) {
        let at = random.usize(0..=input.len());
        match random.u32(0..8) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.u32(0..8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.u8(..);
                }
            }
            2 | 3 => {
                let sign = random.choice(SIGNS).copied();
                input.splice(at..at, sign);
            }
            4 => {
                let gone = part(random, &input[at..]).len();
                input.drain(at..at + gone);
            }
            5 => {
                let again = part(random, input).to_vec();
                input.splice(at..at, again);
            }
            6 => {
                let from = self.any(random);
                let other = part(random, from).to_vec();
                input.splice(at..at, other);
            }
            _ => {
                let other = self.any(random);
                let rest = &other[random.usize(0..=other.len())..];
                input.truncate(at);
                input.extend_from_slice(rest);
            }
        }
    }
}

/// A part of `whole`, most often a short one.
fn part<'a>(random: &mut Rng, whole: &'a [u8]) -> &'a [u8] {
    let start = random.usize(0..=whole.len());
    let most = whole.len() - start;
    let short = most.min(1 << random.u32(0..=8));
    &whole[start..start + random.usize(0..=short)]
}

/// A number that looks like none of those of other numbers.
fn mixed(number: u64) -> u64 {
    Rng::with_seed(number).u64(..)
}

/// The number of an input's bytes: FNV-1a, which is the same everywhere.
fn number(input: &[u8]) -> u64 {
    input.iter().fold(0xcbf2_9ce4_8422_2325, |number, byte| {
        (number ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(seed: u64, kept: &[&str]) -> Vec<Vec<u8>> {
        let kept = kept.iter().map(|text| text.as_bytes().to_vec());
        let maker = Maker::new(seed, kept);
        (0..1000).map(|at| maker.input(at)).collect()
    }

    const KEPT: [&str; 8] = [
        "/a/b\n/x",
        "<a href=/x>",
        "{\"a\": 1}",
        "a=b; path=/",
        "",
        "url(/x)",
        "x",
        "y",
    ];

    fn same(one: &[Vec<u8>], other: &[Vec<u8>]) -> usize {
        one.iter()
            .zip(other)
            .filter(|(one, other)| one == other)
            .count()
    }

    #[test]
    fn they_hang_on_the_seed_and_the_bytes_of_the_kept_ones_alone() {
        let before = made(1, &KEPT);
        let mut reversed = KEPT;
        reversed.reverse();
        assert_eq!(before, made(1, &reversed));
        assert!(same(&before, &made(2, &KEPT)) < 50);
        // Written down, so that it is seen if another version of the generator makes others.
        assert_eq!(number(&before.concat()), 0x8d15_181a_25b1_a659);
    }

    #[test]
    fn one_more_kept_input_changes_few_of_them() {
        let more = [&KEPT[..], &["one more"]].concat();
        let is_same = same(&made(1, &KEPT), &made(1, &more));
        assert!((700..1000).contains(&is_same), "{is_same}");
    }
}

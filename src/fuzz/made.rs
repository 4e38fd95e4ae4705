//! Inputs made from those that are kept: the same ones on each machine, as they come from a seed and the kept files alone.
//!
//! In: the kept inputs of a target. Out: a file for each made one, which libFuzzer then only reads. What libFuzzer makes up itself
//! hangs on what it sees of the running program, addresses and times among it, so its seed makes no two runs the same, and a
//! check of every change must say the same twice.

use std::fs;
use std::path::Path;

use fastrand::Rng;

/// Longer inputs are for libFuzzer's own looking.
const MAX_LENGTH: usize = 4096;

/// Changes to one input, at the most.
const MAX_CHANGES: usize = 6;

/// What separates and quotes in the formats that are read here.
const SIGNS: &[u8] = b"\0\t\n\r !\"#$%&'()*+,-./0:;<=>?@[\\]^_`{|}~\x7f\x80\xe2\xff";

/// Writes `count` inputs into `directory`.
pub(super) fn write(kept: &[Vec<u8>], count: usize, directory: &Path) {
    let mut random = Rng::with_seed(1);
    for at in 0..count {
        let mut input = any(&mut random, kept).to_vec();
        for _ in 0..random.usize(1..=MAX_CHANGES) {
            change(&mut random, kept, &mut input);
        }
        input.truncate(MAX_LENGTH);
        let written = fs::write(directory.join(format!("made-{at}")), input);
        written.expect("the directory takes the inputs");
    }
}

fn any<'a>(random: &mut Rng, kept: &'a [Vec<u8>]) -> &'a [u8] {
    random.choice(kept).map_or(&[], Vec::as_slice)
}

/// A part of `whole`, most often a short one.
fn part<'a>(random: &mut Rng, whole: &'a [u8]) -> &'a [u8] {
    let start = random.usize(0..=whole.len());
    let most = whole.len() - start;
    let short = most.min(1 << random.u32(0..=8));
    &whole[start..start + random.usize(0..=short)]
}

fn change(random: &mut Rng, kept: &[Vec<u8>], input: &mut Vec<u8>) {
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
            let from = any(random, kept);
            let other = part(random, from).to_vec();
            input.splice(at..at, other);
        }
        _ => {
            let other = any(random, kept);
            let rest = &other[random.usize(0..=other.len())..];
            input.truncate(at);
            input.extend_from_slice(rest);
        }
    }
}

//! Fuzzing: properties that hold whatever strangers send, asked of inputs that a fuzzer makes up.
//!
//! In: bytes. Out: nothing, or a panic where an independent reader disagrees with the product, or where one input takes more
//! than [`MAX_PASSES`] of CPU time. Each target states its property on its front page; what it says of the product is
//! written a second time there, from the standard or from Kubernetes' source, and shares no code with the product.
//!
//! `make unit` asks all of them about the inputs that are kept in `tests/fuzz/corpus`. `make fuzz` lets libFuzzer make up
//! further ones (`tests/fuzz/README.md`); then this is built with `--cfg fuzzing`, and its `main` is libFuzzer's.

mod envelope;
pub(crate) mod lines;
#[cfg(fuzzing)]
mod made;
mod request_info;

use std::cell::Cell;
use std::fs;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::effort::{self, LENGTH, MIB};
use crate::local::tests::fuzz as local;
use crate::serve::cluster::tests::fuzz::objects;
use crate::serve::forward::tests::fuzz as forward;
use crate::serve::response::tests::fuzz as rewrite;

/// Asks about one input. Panics where the property does not hold.
type Check = fn(&[u8]);

/// Each has a folder of its name in `tests/fuzz/corpus`.
const TARGETS: [(&str, Check); 15] = [
    ("request-info", request_info::check),
    ("envelope", envelope::check),
    ("hosts", local::hosts),
    ("own-origins", local::own_origins),
    ("kubeconfigs", local::kubeconfigs),
    ("objects", objects),
    ("headers", forward::headers),
    ("framing", forward::framing),
    ("links", rewrite::links),
    ("redirects", rewrite::redirects),
    ("cookies", rewrite::cookies),
    ("html", rewrite::page::html),
    ("css", rewrite::page::css),
    ("srcset", rewrite::page::srcset),
    ("manifests", rewrite::page::manifests),
];

/// What one input may cost, in passes over a MiB: 50 ms of CPU time in an optimized build.
const MAX_PASSES: f64 = 50.0;

/// A busy machine makes a measurement too large now and then. What is too slow is so each time.
const TRIES: usize = 3;

thread_local! {
    /// CPU time of this input that is a judge's and not the product's.
    static NOT_COUNTED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Work of an independent reader, whose time is nobody's fault.
pub(crate) fn not_counted<T>(work: impl FnOnce() -> T) -> T {
    let before = effort::cpu();
    let made = work();
    let spent = effort::cpu().saturating_sub(before);
    NOT_COUNTED.set(NOT_COUNTED.get() + spent);
    made
}

/// Asks a target about an input. Panics where that costs more than it may.
fn run(check: Check, input: &[u8], most: Duration) {
    let cost = || {
        NOT_COUNTED.set(Duration::ZERO);
        let before = effort::cpu();
        check(input);
        let spent = effort::cpu().saturating_sub(before);
        spent.saturating_sub(NOT_COUNTED.get())
    };
    if cost() > most {
        let least = (1..TRIES).map(|_| cost()).min().unwrap_or_default();
        assert!(least <= most, "it takes {least:?}, and may take {most:?}");
    }
}

/// The CPU time that an input may take on this machine.
fn most() -> Duration {
    static MOST: OnceLock<Duration> = OnceLock::new();
    // Without optimization the product's readers lose more than a pass does.
    let lost = if cfg!(fuzzing) { 1.0 } else { 4.0 };
    *MOST.get_or_init(|| {
        let pass = (0..TRIES).map(|_| effort::pass()).min().unwrap_or_default();
        pass.mul_f64(MAX_PASSES * lost * (MIB / LENGTH) as f64)
    })
}

fn corpus(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fuzz/corpus").join(name)
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is no file that changes while this runs"
)]
fn kept(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(corpus(name)).unwrap();
    let mut kept: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    kept.sort();
    kept
}

#[test]
fn every_input_that_is_kept_holds() {
    let mut findings = Vec::new();
    for (name, check) in TARGETS {
        let kept = kept(name);
        assert!(!kept.is_empty(), "{name} has no inputs");
        for (path, input) in kept {
            let asked: &(dyn RefUnwindSafe + Fn()) = &|| run(check, &input, most());
            if catch_unwind(asked).is_err() {
                findings.push(path);
            }
        }
    }
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
#[should_panic(expected = "it takes")]
fn an_input_that_takes_too_long_is_a_finding() {
    const MOST: Duration = Duration::from_millis(1);
    let check = |_: &[u8]| {
        let begin = effort::cpu();
        while effort::cpu().saturating_sub(begin) <= MOST {}
    };
    run(check, b"", MOST);
}

/// The target that `FUZZ_TARGET` names.
#[cfg(fuzzing)]
fn chosen() -> (&'static str, Check) {
    static CHOSEN: OnceLock<(&'static str, Check)> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let mut targets = TARGETS.into_iter();
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        targets
            .find(|(name, _)| *name == wanted)
            .unwrap_or_else(|| panic!("FUZZ_TARGET is one of {names:?}"))
    })
}

// With `FUZZ_MADE`, a directory, it asks nothing and writes `FUZZ_COUNT` inputs there.
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (name, check) = chosen();
    let Some(directory) = std::env::var_os("FUZZ_MADE") else {
        run(check, input, most());
        return;
    };
    let count = std::env::var("FUZZ_COUNT").unwrap_or_default();
    let count = count.parse().expect("FUZZ_COUNT is a number");
    let inputs: Vec<_> = kept(name).into_iter().map(|(_, input)| input).collect();
    made::write(&inputs, count, Path::new(&directory));
});

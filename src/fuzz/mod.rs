//! Fuzzing: properties that hold whatever strangers send, asked of inputs that a fuzzer makes up.
//!
//! In: bytes. Out: nothing, or a panic where an independent reader disagrees with the product, or where one input takes
//! more than [`MAX_PASSES`] of CPU time. Each target states its property on its front page; what it says of the product
//! is written a second time there, from the standard or from Kubernetes' source, and shares no code with the product.
//!
//! `make unit` asks all of them about the inputs that are kept in `tests/fuzz/corpus`. `make fuzz` lets libFuzzer make
//! up further ones (`tests/fuzz/README.md`); then this is built with `--cfg fuzzing`, and its `main` is libFuzzer's.

mod envelope;
pub(crate) mod lines;
mod made;
mod request_info;

use std::cell::Cell;
use std::fs;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use url::Url;

use crate::effort::{self, LENGTH, MIB};
use crate::local::tests::fuzz as local;
use crate::serve::cluster::tests::fuzz::objects;
use crate::serve::forward::tests::fuzz as forward;
use crate::serve::html::tests::fuzz as html;
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
    ("html", html::html),
    ("css", html::css),
    ("srcset", html::srcset),
    ("manifests", html::manifests),
];

/// What one input may cost, in passes over a MiB: 50 ms of CPU time in an optimized build.
const MAX_PASSES: f64 = 50.0;

/// A busy machine makes a measurement too large now and then. What is too slow is so each time, beside a pass of the
/// same moment.
const TRIES: usize = 10;

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

/// Where a URL of a page leads. Browsers pass over all slashes before a host (the URL standard, "special authority
/// ignore slashes state"); behind two of them and without a scheme the crate takes a third for the end of the host.
pub(crate) fn joined(page: &Url, url: &str) -> Result<Url, url::ParseError> {
    let text = url.trim_matches(|one: char| one <= ' ');
    let text = text.replace(['\t', '\n', '\r'], "");
    let rest = text.trim_start_matches(['/', '\\']);
    match text.len() - rest.len() {
        0 | 1 => page.join(url),
        _ => page.join(&format!("//{rest}")),
    }
}

/// Asks a target about an input. Panics where that costs more passes than it may, each time.
fn run(check: Check, input: &[u8], max_passes: f64) {
    static PASS: OnceLock<Duration> = OnceLock::new();
    let usual = PASS.get_or_init(|| (0..TRIES).map(|_| pass()).min().unwrap_or_default());
    if cost(check, input) <= usual.mul_f64(max_passes) {
        return;
    }
    // The first that is quick enough says enough.
    let mut passes = (1..TRIES).map(|_| cost(check, input).as_secs_f64() / pass().as_secs_f64());
    let is_quick = passes.any(|passes| passes <= max_passes);
    assert!(is_quick, "it takes more than {max_passes} passes");
}

/// CPU time of one input.
fn cost(check: Check, input: &[u8]) -> Duration {
    NOT_COUNTED.set(Duration::ZERO);
    let before = effort::cpu();
    check(input);
    let spent = effort::cpu().saturating_sub(before);
    spent.saturating_sub(NOT_COUNTED.get())
}

/// CPU time of a pass over a MiB, now.
fn pass() -> Duration {
    // Without optimization the product's readers lose more than a pass does.
    let lost = if cfg!(fuzzing) { 1.0 } else { 4.0 };
    effort::pass().mul_f64(lost * (MIB / LENGTH) as f64)
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
            let asked: &(dyn RefUnwindSafe + Fn()) = &|| run(check, &input, MAX_PASSES);
            if catch_unwind(asked).is_err() {
                findings.push(path);
            }
        }
    }
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
#[should_panic(expected = "it takes more than")]
fn an_input_that_takes_too_long_is_a_finding() {
    let check = |_: &[u8]| {
        effort::pass();
    };
    run(check, b"", 0.0);
}

#[test]
fn an_input_that_took_too_long_once_is_none() {
    thread_local! {
        static ASKED: Cell<usize> = const { Cell::new(0) };
    }
    let slow_at_first = |_: &[u8]| {
        ASKED.set(ASKED.get() + 1);
        if ASKED.get() == 1 {
            effort::pass();
        }
    };
    run(slow_at_first, b"", 0.001);
    assert_eq!(ASKED.get(), 2);
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

// With `FUZZ_MADE`, a directory, it asks nothing and writes `FUZZ_COUNT` inputs there, made with `FUZZ_SEED`.
#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (name, check) = chosen();
    let Some(directory) = std::env::var_os("FUZZ_MADE") else {
        run(check, input, MAX_PASSES);
        return;
    };
    let number = |name| {
        let value = std::env::var(name).unwrap_or_default();
        let number = value.parse::<u64>();
        number.unwrap_or_else(|_| panic!("{name} is a number"))
    };
    let kept = kept(name).into_iter().map(|(_, input)| input);
    let maker = made::Maker::new(number("FUZZ_SEED"), kept);
    for at in 0..number("FUZZ_COUNT") {
        let path = Path::new(&directory).join(format!("made-{at}"));
        fs::write(path, maker.input(at)).expect("the directory takes the inputs");
    }
});

//! What tests know of the cost of strangers' input: nasty input, CPU time, and a bound that is one on every machine.
//!
//! Times say little by themselves: a build without optimization is many times slower, and the machine may be busy. So
//! CPU time of the thread is counted, in passes: one is what it takes to read [`LENGTH`] characters one after another
//! through iterators and closures, as the product's readers do, each step waiting for the one before, in the same build
//! and at the same moment. An optimized build takes a millisecond for a MiB (measured: 1.02 ms, and 18.2 ms without
//! optimization).
//!
//! Which headers there are is read from the source, so that a new one is measured without anybody adding it.

use std::collections::BTreeSet;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use http::HeaderName;
use rustix::time::{ClockId, clock_gettime};

pub(crate) const MIB: usize = 1 << 20;

/// Bytes of an input: a MiB, and a sixteenth of one without optimization, as it takes long enough there.
pub(crate) const LENGTH: usize = if cfg!(debug_assertions) {
    MIB / 16
} else {
    MIB
};

/// Bytes of a header. Longer than 64 KiB few of them are looked at, and longer than 8 KiB some.
pub(crate) const HEADER_LENGTHS: [usize; 3] = [LENGTH, MIB / 16, MIB / 128];

/// Without optimization the product's readers lose more than a pass does, as they allocate and call libraries.
const LOST: f64 = if cfg!(debug_assertions) { 2.0 } else { 1.0 };

/// What an input of [`LENGTH`] may cost: for a MiB 50 ms of an optimized build. A shorter input may cost as much less.
pub(crate) const MAX_PASSES: f64 = 50.0 * LOST;

/// What one poll may cost, in which nobody else of the thread gets a turn: 10 ms of an optimized build, whatever the
/// length.
pub(crate) const MAX_PASSES_A_POLL: f64 = 10.0 * LOST * (MIB / LENGTH) as f64;

/// A busy machine makes a measurement too large now and then. What is too slow is so each time.
const TRIES: usize = 3;

/// Each is repeated until it fills a value: what means something somewhere, and pairs that send readers looking for an
/// end that does not come.
pub(crate) const NASTY: [&str; 48] = [
    "<",
    ">",
    "\"",
    "'",
    ",",
    ";",
    "=",
    "/",
    "\\",
    "(",
    ")",
    "&",
    "%",
    "?",
    "#",
    "*",
    "-",
    ".",
    ":",
    "@",
    "[",
    "{",
    " ",
    "\t",
    "a",
    "0",
    "</",
    "<>",
    "\"<",
    "<\"",
    ",<",
    "/,",
    "/ ",
    "//",
    "\\/",
    "../",
    "%2e",
    "&#",
    "&a",
    "&amp;",
    "url(",
    "url(/)",
    "\\a",
    "/*",
    "a=",
    ";a=",
    "report-uri /;",
    "Basic a=\"",
];

/// A pattern until it fills a length.
pub(crate) fn filled(pattern: &[u8], length: usize) -> Vec<u8> {
    pattern.repeat(length / pattern.len())
}

/// CPU time of this thread.
pub(crate) fn cpu() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(spent).expect("no time is below zero")
}

fn cost_of(work: impl FnOnce()) -> Duration {
    let before = cpu();
    work();
    cpu().saturating_sub(before)
}

/// CPU time of one pass, now.
pub(crate) fn pass() -> Duration {
    let text = black_box("a".repeat(LENGTH));
    cost_of(|| {
        let found = text.char_indices().filter(|(_, one)| *one != '<');
        let values = found.map(|(at, one)| u32::from(one) ^ at as u32);
        black_box(values.fold(0_u32, |state, value| state.rotate_left(5) ^ value));
    })
}

/// What was measured in one test, in `N` ways. It fails at its end, so that it names all that is too slow.
#[derive(Debug)]
pub(crate) struct Bill<const N: usize> {
    max_passes: [f64; N],
    pass: Duration,
    measured: Vec<([f64; N], String)>,
}

impl Bill<1> {
    /// Measures work on what was prepared before, of so many bytes.
    pub(crate) fn work<T>(
        &mut self,
        what: &str,
        length: usize,
        prepare: impl Fn() -> T,
        work: impl Fn(T),
    ) {
        self.cost(what, length, || {
            let prepared = prepare();
            [cost_of(|| work(prepared))]
        });
    }
}

impl<const N: usize> Bill<N> {
    /// `max_passes` are the bounds for each of the measurements.
    pub(crate) fn new(max_passes: [f64; N]) -> Self {
        Self {
            max_passes,
            pass: (0..TRIES).map(|_| pass()).min().unwrap(),
            measured: Vec::new(),
        }
    }

    /// Measures something that counts by itself, of an input of so many bytes. Only the first of the costs grows with
    /// it.
    pub(crate) fn cost(&mut self, what: &str, length: usize, cost: impl Fn() -> [Duration; N]) {
        let part = length as f64 / LENGTH as f64;
        let measure = |pass: Duration| {
            let mut passes = cost().map(|cost| cost.as_secs_f64() / pass.as_secs_f64());
            passes[0] /= part;
            passes
        };
        let mut passes = measure(self.pass);
        for _ in 1..TRIES {
            if self.is_above(&passes) {
                let again = measure(pass());
                passes = std::array::from_fn(|at| passes[at].min(again[at]));
            }
        }
        self.measured.push((passes, what.to_owned()));
    }

    fn is_above(&self, passes: &[f64; N]) -> bool {
        passes
            .iter()
            .zip(self.max_passes)
            .any(|(passes, max)| *passes > max)
    }

    /// # Panics
    /// Something was above its bound.
    pub(crate) fn settle(mut self) {
        let (pass, count) = (self.pass, self.measured.len());
        println!("{count} measured, one pass is {pass:?}");
        for at in 0..N {
            self.measured
                .sort_by(|(one, _), (other, _)| other[at].total_cmp(&one[at]));
            println!("most passes, of {}:", self.max_passes[at]);
            for (passes, what) in self.measured.iter().take(8) {
                println!("{:8.2} {what}", passes[at]);
            }
        }
        let above = self
            .measured
            .iter()
            .filter(|(passes, _)| self.is_above(passes));
        let above: Vec<String> = above
            .map(|(passes, what)| format!("{passes:.1?} {what}"))
            .collect();
        assert!(
            above.is_empty(),
            "more than {:?} passes:\n{}",
            self.max_passes,
            above.join("\n")
        );
    }
}

/// Every header that the product names, however it does so: a constant of `http`, or a text.
pub(crate) fn headers_of_the_source() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_of_serve = !path.starts_with(root.join("local"))
                && !path.ends_with("tests")
                && !path.ends_with("fuzz")
                && !path.ends_with("tests.rs");
            if path.is_dir() && is_of_serve {
                folders.push(path);
            } else if is_of_serve && path.extension().is_some_and(|extension| extension == "rs") {
                let text = source(&path);
                let product = text.split("#[cfg(test)]").next().unwrap_or_default();
                names.extend(constants(product));
                names.extend(texts(product));
            }
        }
    }
    for known in [
        "set-cookie",
        "accept-ranges",
        "traceparent",
        "x-script-name",
        "throughway-path",
    ] {
        assert!(names.contains(known), "{known} was not found");
    }
    names
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is no file that changes while this runs"
)]
fn source(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// `header::NAME` and `header::{NAME, NAME}`.
fn constants(product: &str) -> Vec<String> {
    let names = |text: &'_ str| match text.strip_prefix('{') {
        Some(list) => list.split('}').next().unwrap_or_default().to_owned(),
        None => {
            let is_of_name = |one: char| one.is_ascii_alphanumeric() || one == '_';
            let name = text.split(|one| !is_of_name(one)).next();
            name.unwrap_or_default().to_owned()
        }
    };
    let lists: Vec<String> = product.split("header::").skip(1).map(names).collect();
    let names: Vec<String> = lists
        .iter()
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|name| name.len() > 1 && !name.contains(|one: char| one.is_ascii_lowercase()))
        .map(|name| name.to_ascii_lowercase().replace('_', "-"))
        .filter(|name| HeaderName::try_from(name).is_ok())
        .collect();
    names
}

/// `"a-name"` where one is made or looked for.
fn texts(product: &str) -> impl Iterator<Item = String> {
    ["from_static(\"", "get(\"", "get_all(\"", "contains_key(\""]
        .into_iter()
        .flat_map(|before| product.split(before).skip(1))
        .filter_map(|text| text.split('"').next())
        .filter(|name| {
            let is_of_name = |one: u8| one.is_ascii_lowercase() || one == b'-';
            name.len() > 1 && name.bytes().all(is_of_name)
        })
        .map(str::to_owned)
}

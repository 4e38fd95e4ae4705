//! What this process uses, as Linux counts it; zero elsewhere.
//!
//! proc(5): `/proc/self/statm` counts pages, `/proc/self/stat` ticks.

use std::sync::OnceLock;

/// Resident bytes and CPU seconds.
pub(super) fn read() -> (f64, f64) {
    #[expect(
        clippy::disallowed_methods,
        reason = "proc files are memory, reading them does not wait"
    )]
    let file = |path| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, at: usize| {
        text.split(' ')
            .nth(at)
            .and_then(|word| word.parse::<f64>().ok())
    };
    let pages = field(&file("/proc/self/statm"), 1).unwrap_or(0.0);
    let stat = file("/proc/self/stat");
    // The command's name may hold spaces; what follows its closing bracket does not.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = field(after_name, 11).unwrap_or(0.0) + field(after_name, 12).unwrap_or(0.0);
    let units = units();
    (pages * units.page_bytes, ticks / units.ticks_a_second)
}

/// What the kernel counts memory and time in.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Units {
    page_bytes: f64,
    ticks_a_second: f64,
}

/// As the kernel told this process at its start: pages of arm64 have up to 64 KiB.
fn units() -> Units {
    static UNITS: OnceLock<Units> = OnceLock::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "proc files are memory, reading them does not wait"
    )]
    let read = || Units::parse(&std::fs::read("/proc/self/auxv").unwrap_or_default());
    *UNITS.get_or_init(read)
}

impl Units {
    /// Reads the auxiliary vector: pairs of words, the first of which says what the second is (`getauxval(3)`).
    fn parse(vector: &[u8]) -> Self {
        const AT_PAGESZ: usize = 6;
        const AT_CLKTCK: usize = 17;
        const WORD: usize = size_of::<usize>();
        let word = |bytes: &[u8]| bytes.try_into().map(usize::from_ne_bytes).unwrap_or(0);
        let entry = |key: usize| {
            let mut pairs = vector.chunks_exact(2 * WORD);
            let pair = pairs.find(|pair| word(&pair[..WORD]) == key)?;
            u32::try_from(word(&pair[WORD..])).ok().map(f64::from)
        };
        Self {
            page_bytes: entry(AT_PAGESZ).unwrap_or(4096.0),
            ticks_a_second: entry(AT_CLKTCK).unwrap_or(100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_ticks_are_those_of_the_system() {
        let words = |words: &[usize]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_ne_bytes()).collect()
        };
        let arm = Units::parse(&words(&[33, 1, 6, 65536, 17, 250, 0, 0]));
        assert_eq!((arm.page_bytes, arm.ticks_a_second), (65536.0, 250.0));
        let unknown = Units::parse(b"");
        assert_eq!(
            (unknown.page_bytes, unknown.ticks_a_second),
            (4096.0, 100.0)
        );
    }
}

//! The pages that Linux gives this process its memory in: small ones until it is known that large ones pay.
//!
//! A companion waits most of the time, and is to be small then. Huge pages would save it hardly any CPU, and round its
//! few mebibytes of memory up to twice as many. What has got one keeps it, so they are refused before anything is
//! allocated, and a server, which they do help, takes them again. Elsewhere nothing is asked of the system.
//!
//! Linux: `PR_SET_THP_DISABLE` of prctl(2), which child processes inherit.

/// Asks for small pages, for all memory that is still to come.
pub fn take_small_pages() {
    #[cfg(target_os = "linux")]
    huge_pages(HugePages::Off);
}

/// Lets the system choose again.
pub fn take_usual_pages() {
    #[cfg(target_os = "linux")]
    huge_pages(HugePages::On);
}

/// Starts a process that gets its pages as usual.
pub fn with_usual_pages<T>(start: impl FnOnce() -> T) -> T {
    take_usual_pages();
    let started = start();
    take_small_pages();
    started
}

#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HugePages {
    Off,
    On,
}

#[cfg(target_os = "linux")]
fn huge_pages(wanted: HugePages) {
    let is_off = wanted == HugePages::Off;
    if let Err(refused) = rustix::thread::disable_transparent_huge_pages(is_off) {
        tracing::debug!(error = %refused, "the system does not let a process choose its pages");
    }
}

//! What the tests, the benchmark and the demo stand on.
//!
//! | around the server under test | |
//! |---|---|
//! | [`cluster`] | a small cluster in one process, which can be told to fail, and a front proxy like kube-aggregator |
//! | [`control_plane`] | a real kube-apiserver with Throughway installed, and a node made by hand |
//! | [`fake_api`] | an API server without a network |
//! | [`backend`], [`hostile`] | what answers for a pod, and what harms |
//! | [`client`], [`tls`] | who asks |
//! | [`companion`] | a running `throughway local` |
//! | [`browser`] | a real Chromium |
//! | [`attacks`] | what strangers, users and backends do at their worst |
//! | [`process`] | what a process used |
//! | [`serving`], [`websocket`] | what servers of tests are made of |

pub mod attacks;
pub mod backend;
pub mod browser;
pub mod client;
pub mod cluster;
pub mod companion;
pub mod control_plane;
pub mod fake_api;
pub mod hostile;
pub mod process;
pub mod serving;
pub mod tls;
mod waiting;
pub mod websocket;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

pub use waiting::{LIMIT, until};

/// The program under test: cargo names it to the tests and benchmarks that it runs.
pub fn program() -> PathBuf {
    let program = std::env::var_os("CARGO_BIN_EXE_throughway");
    PathBuf::from(program.expect("cargo test or cargo bench runs this"))
}

/// Where cargo builds, and the other programs of the tests are.
pub fn target() -> PathBuf {
    let program = program();
    let target = program.ancestors().nth(2);
    target.expect("TARGET/PROFILE/throughway").to_owned()
}

/// A file or folder of the repository.
pub fn repository(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(path)
}

/// A folder of a test's own, which is not there yet.
pub fn fresh_dir(test: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
    std::env::temp_dir().join(format!("throughway-{test}-{process}-{number}"))
}

//! What `make run` starts, tried as it tells people to.

mod commands;
mod dashboard;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::demo::Ports;

const ANY: Ports = Ports {
    api: 0,
    companion: 0,
};

fn fresh_dir() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let name = format!("throughway-demo-test-{}-{number}", std::process::id());
    std::env::temp_dir().join(name)
}

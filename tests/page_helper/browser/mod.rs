//! A real Chromium, driven over its DevTools protocol: one process, as many tabs as there are tests.
//!
//! Each tab is a browser context of its own, so that cookies, caches and service workers of two tests never meet. It has a
//! WebSocket of its own, so that it belongs to the runtime of its test, and it records what the browser sends and what
//! scripts complain about: the page's, its frames', its workers', and those of windows that it opens.
//!
//! <https://chromedevtools.github.io/devtools-protocol/>

mod line;
mod record;
mod tab;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use tab::Tab;

/// No page of a test takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// Ends Chromium when the pipe from this process closes, whatever this process dies of, and clears up behind it.
const KEEPER: &str = r#"
"$@" --user-data-dir="$PROFILE" </dev/null & chromium=$!
cat >/dev/null; kill "$chromium"; wait "$chromium"
# Processes of Chromium that end last may still write.
until rm -rf "$PROFILE" 2>/dev/null; do :; done
"#;

const FLAGS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--window-size=1280,900",
    "--remote-debugging-port=0",
];

/// A running Chromium; it ends when this is dropped, or with the process of the test.
#[derive(Debug)]
pub struct Browser {
    keeper: Child,
    lifeline: Option<ChildStdin>,
    address: String,
}

impl Browser {
    /// The one browser of a test binary.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Browser> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A browser of one's own.
    pub fn start() -> Self {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("throughway-chromium-{}-{number}", std::process::id());
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh", "chromium"])
            .args(FLAGS)
            .env("PROFILE", std::env::temp_dir().join(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        let lifeline = keeper.stdin.take();
        let errors = BufReader::new(keeper.stderr.take().expect("a pipe"));
        let (found, address) = std::sync::mpsc::channel();
        // Reads on to the end, as Chromium stops when nobody reads what it has to say.
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    let _ = found.send(address.trim().to_owned());
                }
            }
        });
        let address = address
            .recv_timeout(LIMIT)
            .expect("Chromium says where it listens (it is the Debian package chromium)");
        Self {
            keeper,
            lifeline,
            address,
        }
    }

    /// A new tab that shares nothing with any other.
    pub async fn tab(&self) -> Tab {
        Tab::open(&self.address).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // The keeper ends by itself now; there is nobody to tell if it can't be waited for.
        let _ = self.keeper.wait();
    }
}

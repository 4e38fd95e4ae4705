//! The access log: one JSON line a request on standard output.
//!
//! Lines are written by a thread of their own, many at once. A reader that is too slow loses lines and never slows a
//! request; how many were lost is a metric.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Lines that may wait for the writer.
const WAITING: usize = 16 * 1024;

/// Where the lines go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessLog(Option<Open>);

#[derive(Debug, Clone)]
struct Open {
    lines: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
}

impl AccessLog {
    /// Nothing is written.
    pub fn off() -> Self {
        Self(None)
    }

    /// Starts the writer; it ends when the last clone is gone and every line is written.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn to(out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write(out, &waiting))?;
        Ok(Self(Some(Open {
            lines,
            lost: Arc::default(),
        })))
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn line(&self, line: Vec<u8>) {
        if let Some(open) = &self.0
            && open.lines.try_send(line).is_err()
        {
            open.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines had no place.
    pub fn lost(&self) -> u64 {
        self.0
            .as_ref()
            .map_or(0, |open| open.lost.load(Ordering::Relaxed))
    }
}

fn write(mut out: impl Write, waiting: &Receiver<Vec<u8>>) {
    while let Ok(mut batch) = waiting.recv() {
        while batch.len() < 64 * 1024 {
            let Ok(line) = waiting.try_recv() else { break };
            batch.extend_from_slice(&line);
        }
        // Standard output may be gone; there is nobody left to tell.
        if out.write_all(&batch).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

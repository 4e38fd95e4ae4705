//! The access log: one JSON line a request on standard output.
//!
//! Lines are written by a thread of their own, many at once. A reader that is too slow loses lines and never slows a
//! request; how many were lost is a metric.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Lines that may wait for the writer, and their bytes: a line is as long as the names in it.
const WAITING: usize = 16 * 1024;
const MAX_WAITING_BYTES: usize = 8 << 20;

/// As much is written at once, if it is there.
const BATCH: usize = 64 * 1024;

/// How long lines gather before they are written: a writer that slept between any two would be woken by each.
const BATCH_INTERVAL: Duration = Duration::from_millis(10);

/// How long the end of the process waits for a slow reader.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the lines go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessLog(Option<LogQueue>);

#[derive(Debug, Clone)]
struct LogQueue {
    entries: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
    /// Bytes of the lines that wait.
    bytes: Arc<AtomicUsize>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Somebody waits until everything before this is written.
    Mark(SyncSender<()>),
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
        // Bounded, so that a reader which has stopped costs memory for so many lines and no more.
        let (entries, waiting) = sync_channel(WAITING);
        let bytes = Arc::new(AtomicUsize::new(0));
        let written = Arc::clone(&bytes);
        std::thread::Builder::new()
            // A thread and no task: to write to a pipe may block, and a blocked worker would hold up requests.
            .name("access-log".into())
            .spawn(move || write(out, &waiting, &written))?;
        Ok(Self(Some(LogQueue {
            entries,
            lost: Arc::default(),
            bytes,
        })))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub fn line(&self, line: Vec<u8>) {
        let Some(open) = &self.0 else { return };
        let length = line.len();
        // Counted before the line is sent, so that two threads can't both take the last of the room.
        let waiting = open.bytes.fetch_add(length, Ordering::Relaxed) + length;
        if waiting > MAX_WAITING_BYTES || open.entries.try_send(Entry::Line(line)).is_err() {
            open.bytes.fetch_sub(length, Ordering::Relaxed);
            open.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines had no place.
    pub fn lost(&self) -> u64 {
        self.0
            .as_ref()
            .map_or(0, |open| open.lost.load(Ordering::Relaxed))
    }

    /// Waits until every line so far is written, or the reader has proved too slow. It blocks: for the end of a
    /// process.
    pub fn finish(&self) {
        let Some(open) = &self.0 else { return };
        let (written, all) = sync_channel(1);
        // Behind all lines so far, as the channel keeps their order.
        if open.entries.try_send(Entry::Mark(written)).is_ok() {
            // Whoever does not read in time loses the rest.
            let _ = all.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

fn write(mut out: impl Write, waiting: &Receiver<Entry>, bytes: &AtomicUsize) {
    let (mut batch, mut marks) = (Vec::new(), Vec::new());
    while let Ok(first) = waiting.recv() {
        // Sleeps although a line is there: those that come in this time go out with it in one write.
        std::thread::park_timeout(BATCH_INTERVAL);
        let mut next = Some(first);
        while next.is_some() {
            gather(&mut next, waiting, &mut batch, &mut marks);
            // Standard output may be gone; there is nobody left to tell.
            if out.write_all(&batch).and_then(|()| out.flush()).is_err() {
                // The channel closes with this thread, so from here on every line counts as lost.
                return;
            }
            // What is being written counts as waiting.
            bytes.fetch_sub(batch.len(), Ordering::Relaxed);
            batch.clear();
            for written in marks.drain(..) {
                // Whoever waited may have given up.
                let _ = written.try_send(());
            }
        }
    }
}

/// Moves what waits into a batch, up to its size; what comes after it is `next`.
fn gather(
    next: &mut Option<Entry>,
    waiting: &Receiver<Entry>,
    batch: &mut Vec<u8>,
    marks: &mut Vec<SyncSender<()>>,
) {
    while let Some(entry) = next.take() {
        match entry {
            Entry::Line(line) => batch.extend_from_slice(&line),
            Entry::Mark(written) => marks.push(written),
        }
        *next = waiting.try_recv().ok();
        if batch.len() >= BATCH {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A reader that does not read until it is told to.
    struct Stopped(std::sync::mpsc::Receiver<()>);

    impl Write for Stopped {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_wait_for_a_stopped_reader_are_bounded_in_bytes() {
        let (go, stopped) = std::sync::mpsc::channel();
        let access = AccessLog::to(Stopped(stopped)).unwrap();
        let line = vec![b'x'; 100 << 10];
        for _ in 0..1000 {
            access.line(line.clone());
        }
        let waiting = MAX_WAITING_BYTES / line.len();
        assert_eq!(access.lost(), 1000 - waiting as u64);
        drop(go);
        access.finish();
        let lost = access.lost();
        access.line(line);
        assert_eq!(access.lost(), lost, "there is room again");
    }

    #[test]
    fn every_line_is_written_when_the_end_has_been_waited_for() {
        let sink = Sink::default();
        let access = AccessLog::to(sink.clone()).unwrap();
        for _ in 0..10_000 {
            access.line(b"a line\n".to_vec());
        }
        access.finish();
        assert_eq!(sink.0.lock().unwrap().len() as u64, 70_000);
        assert_eq!(access.lost(), 0);
    }
}

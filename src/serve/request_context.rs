//! What goes with one request from its first look to its last byte, and is shared by everybody who works on it.
//!
//! The stages note in it what they find out, bodies and tunnels count their bytes in it, and it holds the request's
//! slot among those in flight. The body of the response holds it too: when the last holder lets go of it, after the
//! last byte of the response or of the tunnel, it becomes one line of the access log and one sample of each metric. No
//! token, cookie, query or body is ever given to it.
//!
//! Kubernetes: the audit context of k8s.io/apiserver (`pkg/audit/context.go`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::fairness::{Full, Slot, SlotOwner, Slots};
use super::refusal::Fault;
use super::telemetry::{AccessLog, AuditId, Metrics, RequestRecord, Sample, Totals, short};

/// A request while it is worked on.
#[derive(Debug)]
pub struct RequestContext {
    begun: Instant,
    audit_id: AuditId,
    up: AtomicU64,
    down: AtomicU64,
    noted: Mutex<Noted>,
    metrics: Arc<Metrics>,
    access: AccessLog,
}

#[derive(Debug, Default)]
struct Noted {
    record: RequestRecord,
    /// Held until the last byte was sent or the caller is gone.
    slot: Option<Slot>,
}

impl RequestContext {
    pub fn begin(audit_id: AuditId, metrics: Arc<Metrics>, access: AccessLog) -> Arc<Self> {
        metrics.begun();
        Arc::new(Self {
            begun: Instant::now(),
            audit_id,
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            noted: Mutex::default(),
            metrics,
            access,
        })
    }

    /// One without a log, for tests of the stages.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Arc<Self> {
        let audit_id = AuditId::of(&http::HeaderMap::new());
        Self::begin(audit_id, Arc::new(Metrics::new()), AccessLog::off())
    }

    /// Whether there will be a line in the access log: what only that says need not be looked for otherwise.
    pub fn is_logged(&self) -> bool {
        self.access.is_on()
    }

    /// The time now for the log line; none while there is no log, as looking at the clock costs more than all notes.
    pub fn time(&self) -> Option<Instant> {
        self.is_logged().then(Instant::now)
    }

    pub fn audit_id(&self) -> &AuditId {
        &self.audit_id
    }

    /// Who asks, as far as a log line has room for it; empty while nobody knows.
    pub fn user(&self) -> String {
        short(&self.noted().record.user).to_owned()
    }

    /// Lets a stage say what it found out.
    pub fn note(&self, say: impl FnOnce(&mut RequestRecord)) {
        // A lock for a few assignments and never across an await; the stages of one request come here one after
        // another.
        say(&mut self.noted().record);
    }

    /// One of these slots for the user and namespace of this request, if they have not got their share.
    pub fn take_slot(&self, slots: &Arc<Slots>) -> Option<Slot> {
        let record = &self.noted().record;
        let taken = slots.take(SlotOwner::User(&record.user), &record.namespace);
        taken.ok()
    }

    /// Takes one of these slots in the namespace of this request, and keeps it until the request ends.
    ///
    /// # Errors
    /// There is none left, or none left for this owner or namespace.
    pub fn hold_slot(&self, slots: &Arc<Slots>, owner: SlotOwner<'_>) -> Result<(), Full> {
        let mut noted = self.noted();
        noted.slot = Some(slots.take(owner, &noted.record.namespace)?);
        Ok(())
    }

    /// The request has become a tunnel, which has a slot of its own.
    pub fn release_slot(&self) {
        // At its 101, so that a tunnel of hours takes nothing from requests.
        self.noted().slot = None;
    }

    /// Bytes of a body or tunnel went to the backend.
    pub fn went_up(&self, bytes: usize) {
        // Relaxed: only growth is looked at, and the sums are read when all is over.
        self.up.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of a body or tunnel went to the caller.
    pub fn went_down(&self, bytes: usize) {
        self.down.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All bytes so far, both ways: what tells an exchange that moves from one that hangs.
    pub fn moved(&self) -> u64 {
        self.up.load(Ordering::Relaxed) + self.down.load(Ordering::Relaxed)
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The caller took nothing of its response for so long that the exchange was ended. Says so in both logs.
    pub fn response_not_taken(&self, timeout: Duration) {
        self.note(|record| {
            record.reason = Some("response_not_taken");
            record.fault = Some(Fault::Caller);
        });
        let peer = self.noted().record.peer;
        tracing::info!(
            audit_id = self.audit_id.as_str(),
            user = self.user(),
            peer.address = peer.map(tracing::field::display),
            "an exchange was ended: its caller took nothing of the response for {timeout:?}"
        );
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestContext {
    fn drop(&mut self) {
        // The last holder is gone: the body, the tunnel, or the future of a caller that went away.
        let took = self.begun.elapsed();
        let record = std::mem::take(&mut self.noted().record);
        self.metrics.ended(&Sample {
            verb: record.verb,
            resource: record.resource,
            code: record.status,
            stage_reason: record.reason,
            tunnel: record.upgrade.is_some(),
            until_response: record
                .responded
                .map(|responded| responded.duration_since(self.begun)),
            took,
        });
        if self.access.is_on() {
            self.access.line(record.line(&Totals {
                begun: self.begun,
                took,
                audit_id: &self.audit_id,
                bytes_up: self.up.load(Ordering::Relaxed),
                bytes_down: self.down.load(Ordering::Relaxed),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use http::HeaderMap;

    use super::*;

    struct Sink(mpsc::Sender<Vec<u8>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_journey_is_one_line_when_its_last_holder_lets_go() {
        let (sender, written) = mpsc::channel();
        let access = AccessLog::to(Sink(sender)).unwrap();
        let context = RequestContext::begin(
            AuditId::of(&HeaderMap::new()),
            Arc::new(Metrics::new()),
            access,
        );
        context.note(|record| {
            record.user = "alice \"a\"\n".into();
            record.status = 200;
            record.resource = "services";
        });
        let body = Arc::clone(&context);
        drop(context);
        body.went_down(100);
        assert!(written.try_recv().is_err(), "the body still holds it");
        drop(body);
        let line = written.recv().unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            (&line["user"], &line["bytes_down"], &line["status"]),
            (&"alice \"a\"\n".into(), &100.into(), &200.into())
        );
    }

    #[test]
    fn each_text_of_a_line_is_cut_at_256_bytes() {
        let (sender, written) = mpsc::channel();
        let access = AccessLog::to(Sink(sender)).unwrap();
        let metrics = Arc::new(Metrics::new());
        let context = RequestContext::begin(AuditId::of(&HeaderMap::new()), metrics, access);
        let long = "\u{1}".repeat(100_000);
        context.note(|record| {
            record.user.clone_from(&long);
            record.namespace = long.as_str().into();
            record.name = long.as_str().into();
            record.inner_path = Some(long);
        });
        drop(context);
        let line = written.recv().unwrap();
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        for text in ["user", "namespace", "name", "inner_path"] {
            assert_eq!(line[text].as_str().map(str::len), Some(256), "{text}");
        }
    }
}

//! One request from its first look to its last byte, in plain values.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::metrics::{Metrics, Sample, Verb};
use super::{AccessLog, AuditId, TraceId};
use crate::serve::fairness::{Holder, Place, Places};

/// Bytes of one text in a line.
const MAX_TEXT: usize = 256;

/// Whose doing it is that a request did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// What was asked is not to be had, or not for this caller.
    Caller,
    /// This server, or the API server that it asks.
    Server,
    /// The target.
    Backend,
}

/// What the stages say of a request. Nothing in it is a secret.
#[derive(Debug, Default)]
pub struct Record {
    pub verb: Verb,
    pub method: Option<http::Method>,
    pub resource: &'static str,
    pub namespace: String,
    pub name: String,
    pub user: String,
    pub groups: usize,
    /// The other end of the connection.
    pub peer: Option<SocketAddr>,
    /// Whom the other end had the request from, as it says.
    pub forwarded_for: Option<IpAddr>,
    /// The path inside the target, where a header stands for that of the URL.
    pub inner_path: Option<String>,
    pub pod: Option<Arc<str>>,
    pub address: Option<SocketAddr>,
    pub status: u16,
    /// The protocol of a tunnel.
    pub upgrade: Option<&'static str>,
    pub fault: Option<Fault>,
    /// One word for why it was refused or failed.
    pub reason: Option<&'static str>,
    pub trace: Option<TraceId>,
    pub identified: Option<Instant>,
    pub authorized: Option<Instant>,
    pub resolved: Option<Instant>,
    pub answered: Option<Instant>,
    /// Held until the last byte was sent or the caller is gone, as the body holds the journey.
    pub place: Option<Place>,
}

/// A request on its way.
#[derive(Debug)]
pub struct Journey {
    begun: Instant,
    audit_id: AuditId,
    up: AtomicU64,
    down: AtomicU64,
    record: Mutex<Record>,
    metrics: Arc<Metrics>,
    access: AccessLog,
}

/// The line that a journey leaves in the access log.
#[derive(Serialize)]
struct Line<'a> {
    time: f64,
    message: &'static str,
    audit_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarded_for: Option<IpAddr>,
    user: &'a str,
    groups: usize,
    method: &'a str,
    verb: &'static str,
    resource: &'static str,
    namespace: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    inner_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upgrade: Option<&'static str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    bytes_up: u64,
    bytes_down: u64,
    authentication_ms: Option<f64>,
    authorization_ms: Option<f64>,
    target_ms: Option<f64>,
    answer_ms: Option<f64>,
    total_ms: f64,
}

impl Journey {
    pub fn begin(audit_id: AuditId, metrics: Arc<Metrics>, access: AccessLog) -> Arc<Self> {
        metrics.begun();
        Arc::new(Self {
            begun: Instant::now(),
            audit_id,
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            record: Mutex::default(),
            metrics,
            access,
        })
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
        short(&self.record().user).to_owned()
    }

    /// Lets a stage say what it found out.
    pub fn note(&self, say: impl FnOnce(&mut Record)) {
        say(&mut self.record());
    }

    /// One of these places for the user and namespace of this request, if they have not got their share.
    pub fn share_of(&self, places: &Arc<Places>) -> Option<Place> {
        let record = self.record();
        let taken = places.take(Holder::User(&record.user), &record.namespace);
        taken.ok()
    }

    /// Bytes of a body or tunnel went to the backend.
    pub fn went_up(&self, bytes: usize) {
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
        let peer = self.record().peer;
        tracing::info!(
            audit_id = self.audit_id.as_str(),
            user = self.user(),
            peer.address = peer.map(tracing::field::display),
            "an exchange was ended: its caller took nothing of the response for {timeout:?}"
        );
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, record: &Record, took: Duration) -> Vec<u8> {
        let milliseconds = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        let since = |earlier: Option<Instant>, later: Option<Instant>| {
            Some(milliseconds(later?.duration_since(earlier?)))
        };
        let line = Line {
            time: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64(),
            message: "request",
            audit_id: self.audit_id.as_str(),
            trace_id: record.trace.as_ref().map(TraceId::as_str),
            peer: record.peer,
            forwarded_for: record.forwarded_for,
            user: short(&record.user),
            groups: record.groups,
            method: record.method.as_ref().map_or("", http::Method::as_str),
            verb: record.verb.as_str(),
            resource: record.resource,
            namespace: short(&record.namespace),
            name: short(&record.name),
            inner_path: record.inner_path.as_deref().map(short),
            pod: record.pod.as_deref().filter(|pod| !pod.is_empty()),
            address: record.address,
            upgrade: record.upgrade,
            status: record.status,
            fault: record.fault,
            reason: record.reason,
            bytes_up: self.up.load(Ordering::Relaxed),
            bytes_down: self.down.load(Ordering::Relaxed),
            authentication_ms: since(Some(self.begun), record.identified),
            authorization_ms: since(record.identified, record.authorized),
            target_ms: since(record.authorized, record.resolved),
            answer_ms: since(record.resolved, record.answered),
            total_ms: milliseconds(took),
        };
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// As much of a text of the caller's choice as a line has room for.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

impl Drop for Journey {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        let record = std::mem::take(&mut *self.record());
        self.metrics.ended(&Sample {
            verb: record.verb,
            resource: record.resource,
            code: record.status,
            stage_reason: record.reason,
            tunnel: record.upgrade.is_some(),
            until_answer: record
                .answered
                .map(|answered| answered.duration_since(self.begun)),
            took,
        });
        if self.access.is_on() {
            self.access.line(self.line(&record, took));
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
        let journey = Journey::begin(
            AuditId::of(&HeaderMap::new()),
            Arc::new(Metrics::new()),
            access,
        );
        journey.note(|record| {
            record.user = "alice \"a\"\n".into();
            record.status = 200;
            record.resource = "services";
        });
        let body = Arc::clone(&journey);
        drop(journey);
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
        let journey = Journey::begin(AuditId::of(&HeaderMap::new()), metrics, access);
        let long = "\u{1}".repeat(100_000);
        journey.note(|record| {
            record.user.clone_from(&long);
            record.namespace.clone_from(&long);
            record.name.clone_from(&long);
            record.inner_path = Some(long);
        });
        drop(journey);
        let line = written.recv().unwrap();
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        for text in ["user", "namespace", "name", "inner_path"] {
            assert_eq!(line[text].as_str().map(str::len), Some(256), "{text}");
        }
    }
}

//! What is said of one request in the access log: plain values in, one JSON line out. Nothing in it is a secret.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::{AuditId, TraceId};
use crate::serve::refusal::Fault;

/// Bytes of one text in a line.
const MAX_TEXT: usize = 256;

/// What the stages say of a request. Nothing in it is a secret.
#[derive(Debug, Default)]
pub struct RequestRecord {
    /// Kubernetes' verb; empty where there is none.
    pub verb: &'static str,
    pub method: Option<http::Method>,
    pub resource: &'static str,
    pub namespace: Arc<str>,
    pub name: Arc<str>,
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
    pub responded: Option<Instant>,
}

/// The line that a request leaves in the access log.
#[derive(Serialize)]
struct AccessLine<'a> {
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
    response_ms: Option<f64>,
    total_ms: f64,
}

/// What is known of a request besides its record when it is over.
#[derive(Debug)]
pub struct Totals<'a> {
    pub begun: Instant,
    pub took: Duration,
    pub audit_id: &'a AuditId,
    pub bytes_up: u64,
    pub bytes_down: u64,
}

impl RequestRecord {
    /// The line of the access log, with its end.
    pub fn line(&self, totals: &Totals<'_>) -> Vec<u8> {
        let milliseconds = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        let since = |earlier: Option<Instant>, later: Option<Instant>| {
            Some(milliseconds(later?.duration_since(earlier?)))
        };
        let line = AccessLine {
            time: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64(),
            message: "request",
            audit_id: totals.audit_id.as_str(),
            trace_id: self.trace.as_ref().map(TraceId::as_str),
            peer: self.peer,
            forwarded_for: self.forwarded_for,
            user: short(&self.user),
            groups: self.groups,
            method: self.method.as_ref().map_or("", http::Method::as_str),
            verb: verb_or_other(self.verb),
            resource: self.resource,
            namespace: short(&self.namespace),
            name: short(&self.name),
            inner_path: self.inner_path.as_deref().map(short),
            pod: self.pod.as_deref().filter(|pod| !pod.is_empty()),
            address: self.address,
            upgrade: self.upgrade,
            status: self.status,
            fault: self.fault,
            reason: self.reason,
            bytes_up: totals.bytes_up,
            bytes_down: totals.bytes_down,
            authentication_ms: since(Some(totals.begun), self.identified),
            authorization_ms: since(self.identified, self.authorized),
            target_ms: since(self.authorized, self.resolved),
            response_ms: since(self.resolved, self.responded),
            total_ms: milliseconds(totals.took),
        };
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        // One write for the line and its end, so that lines of two threads never mix.
        bytes.push(b'\n');
        bytes
    }
}

/// A verb for the log and the metrics, which name also what has none.
pub(super) fn verb_or_other(verb: &'static str) -> &'static str {
    match verb {
        "" => "other",
        verb => verb,
    }
}

/// As much of a text of the caller's choice as a line has room for.
pub fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

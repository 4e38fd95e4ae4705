//! Logs, metrics and traces: plain values in, lines and numbers out. Knows no stage.
//!
//! One request is one [`Journey`]: it collects what the stages say of it, counts its bytes, and when the last holder lets
//! go of it, after the last byte of the answer or of the tunnel, it becomes one line of the access log and one sample of
//! each metric. No token, cookie, query or body is ever given to it.

mod access;
mod journey;
mod metrics;
mod trace;

pub use access::AccessLog;
pub use journey::{Fault, Journey, Record};
pub use metrics::{Gauges, Metrics, Verb};
pub use trace::{AuditId, TraceId};

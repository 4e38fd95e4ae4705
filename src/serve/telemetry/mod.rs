//! Logs, metrics and traces: plain values in, lines and numbers out. Knows no stage.

mod access_log;
mod metrics;
mod process_usage;
mod request_record;
mod trace;

pub use access_log::AccessLog;
pub use metrics::{Gauges, Metrics, Sample};
pub use request_record::{RequestRecord, Totals, short};
pub use trace::{AuditId, TraceId};

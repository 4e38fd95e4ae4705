//! What the server says of itself: JSON lines on standard error, one event each, facts as fields.

use tracing_subscriber::EnvFilter;

/// Starts logging, with a filter such as `info` or `throughway=debug`; a filter that is none means `info`.
///
/// Only the first call of a process has an effect.
pub fn start(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

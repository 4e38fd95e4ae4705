//! Logs, metrics and traces: plain values in, lines and numbers out. Knows no stage.

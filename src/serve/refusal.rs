//! What every refusal can say of itself, whichever stage it comes from.
//!
//! A stage has one error type and implements [`Refuse`] for it. [`super::pipeline`] is the one place where a refusal
//! becomes a response, a line of the log and a sample of a metric.

use serde::Serialize;

use crate::protocol::status::Status;

/// Whose doing it is that a request did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// What was asked for does not exist, or not for this caller.
    Caller,
    /// This server, or the API server that it asks.
    Server,
    /// The target.
    Backend,
}

/// Why a stage does not pass a request on.
pub trait Refuse: std::error::Error {
    /// What the caller gets.
    fn status(&self) -> Status;

    /// One word for the log line and the metric label.
    fn reason(&self) -> &'static str;

    /// Whose doing it is: the server's where the status is 5xx, unless the stage knows better.
    fn fault(&self) -> Fault {
        match self.status().code.is_server_error() {
            true => Fault::Server,
            false => Fault::Caller,
        }
    }
}

//! `throughway serve`: the API server's proxy.
//!
//! One request, from the left to the right; [`pipeline`] is the same as code. Each stage is a folder, and its front page says
//! what comes in, what goes out and what it refuses.
//!
//! ```text
//! connection -> api -> authentication -> authorization -> destination -> endpoint -> forward -> response
//!  a caller     what    who asks          may they         where          which       send it    rewrite
//!  connects     is      (User)            (Permit)         to             one         on         it
//!               asked
//! ```
//!
//! Beside the stages is state with one writer each, read without waiting: [`cluster`] (what the cluster looks like now) and
//! [`certificates`] (which keys and roots hold now).

pub mod config;
mod metrics;
pub mod pipeline;
pub mod refusal;
pub mod request_context;
mod router;
pub mod server;

pub mod connection;

pub mod api;

pub mod authentication;

pub mod authorization;

pub mod destination;

pub mod endpoint;

pub mod forward;

pub mod response;

pub mod cluster;

pub mod certificates;

pub mod fairness;

pub mod telemetry;

//! Throughway: the Kubernetes API server's proxy as a server of its own.
//!
//! # The road
//!
//! One request, from the left to the right; [`proxy`] is the same as code. Each stage is a folder, and its front page says
//! what comes in, what goes out and what it refuses.
//!
//! ```text
//! connection -> api -> authentication -> authorization -> target -> endpoint -> forward -> rewrite
//!  a caller     what    who asks          may they         where     which       send it    the
//!  connects     is      (User)            (Permit)         to        one         on         answer
//!               asked
//! ```
//!
//! Beside the road is state with one writer each, read without waiting: [`cluster`] (what the cluster looks like now) and
//! [`certificates`] (which keys and roots hold now).
//!
//! # Invariants
//!
//! - Nothing is forwarded without a [`authorization::Permit`]; [`authorization::Authorization`] is its only maker.
//! - The path is read once; authorization, target and forwarding read the same [`api::RequestInfo`].
//! - Only `forward/dial.rs` dials, and it takes a `SocketAddr` that was judged. There is no DNS on the road.
//! - No stage after authentication sees the caller's credentials or a header that claims an identity.
//! - Bodies stream both ways. What is kept of one is bounded: what a page's rewriting needs, a short body that a redirect
//!   may ask for again, a login form.
//! - A redirect that is followed here stays inside the target, and each hop is authorized like a request of its own.
//! - No backend speaks for more than its own target: not by cookies, not by headers, not by links.
//! - Discovery, OpenAPI and health answer from memory, whatever the data plane or the cluster is doing.
//! - Every refusal is a `metav1.Status`; a request never ends in an error of this server's own type.
//! - Every spawned task is known to [`lifecycle`].

// The fuzzer has a `main` of its own.
#![cfg_attr(fuzzing, no_main)]

pub mod proxy;
pub mod server;

pub mod envelope;

pub mod hop_by_hop;

pub mod forwarded_for;

pub mod host;

pub mod fetch_metadata;

pub mod html_text;

pub mod causes;

pub mod observed;

pub mod fairness;

pub mod connection;

pub mod api;

pub mod authentication;

pub mod authorization;

pub mod target;

pub mod endpoint;

pub mod forward;

pub mod rewrite;

pub mod cluster;

pub mod certificates;

pub mod config;

pub mod lifecycle;

pub mod status;

pub mod telemetry;

pub mod local;

#[cfg(test)]
mod effort;

#[cfg(test)]
mod fuzz;

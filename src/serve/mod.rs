//! `throughway serve`: the API server's proxy.
//!
//! One request, from the left to the right; [`pipeline`] is the same as code. Each stage is a folder, and its front
//! page says what comes in, what goes out and what it refuses.
//!
//! ```text
//! connection → api → authentication → authorization → client → app_login → destination → endpoint → forward → response
//! a caller     what   who asks         may they        how they  a login     where         which      send it  rewrite
//! connects     is     (User)           (Permit)        see it    at the      to            one        on       it
//!              asked                                             app
//! ```
//!
//! Behind authentication stands `in_flight`, the limit on requests at the same time. A [`destination::Destination`]
//! carries the [`authorization::Permit`] that it was found for, and so does all that comes of it: nothing is dialled
//! without one.
//!
//! Beside the stages is state with one writer each, read without waiting: [`cluster`] (what the cluster looks like now)
//! and [`certificates`] (which keys and roots hold now). [`fairness`] has what callers share, and no request without
//! its turn. [`html`] rewrites pages and knows no stage; `redirect_page` is a redirect as a page. What stages note of a
//! request is in [`request_context`], what becomes of it in [`telemetry`]; why one is refused is a [`refusal`].
//!
//! Above the stages: [`server`] puts all of it together from a [`config`], `router` parts documents from requests to
//! targets, `metrics` is `GET /metrics`.
//!
//! The front page of the crate (`src/lib.rs`) says which file decides what. What is cached, how long and how much is
//! one table of `docs/limits.md`, with all other limits.

pub mod config;
mod in_flight;
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

pub mod client;

pub mod app_login;

pub mod destination;

pub mod endpoint;

pub mod forward;

pub mod response;

pub mod html;

mod redirect_page;

pub mod cluster;

pub mod certificates;

pub mod fairness;

pub mod telemetry;

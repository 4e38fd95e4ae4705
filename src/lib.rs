//! Throughway: the Kubernetes API server's proxy as a server of its own, and its companion on people's machines.
//!
//! Two programs side by side, which know nothing of each other but the envelope, on one ground:
//!
//! ```text
//! serve   in a cluster, behind kube-apiserver
//! connection → api → authentication → authorization → client → app_login → destination → endpoint → forward → response
//!
//! local   on somebody's machine, with their kubeconfig
//! listen → which target → guard → login → the API | a target, by serve or by the built-in proxy
//!
//! cli        the command line of both, above them
//!
//! protocol   what both speak            lifecycle   tasks, signals, memory
//! causes     an error with its causes   observed    a stream whose reads somebody sees
//! ```
//!
//! [`serve`] and [`local`] have the drawings in full.
//!
//! # Where is it decided?
//!
//! | question | file |
//! |---|---|
//! | who a caller is | `serve/authentication/mod.rs` |
//! | what a caller may reach | `serve/authorization/mod.rs` |
//! | which header of a caller never reaches a backend | `serve/authentication/credentials.rs`, then the table of `serve/forward/headers/mod.rs` |
//! | whether a pod's address may be dialled | `serve/destination/address_policy.rs`; whether it is that pod's, `serve/endpoint/candidates.rs` and `serve/cluster/addresses.rs` |
//! | when a request is sent a second time | `serve/forward/retry.rs`; by the companion, `local/upstream/exchange.rs`; a question to the API server, `serve/cluster/api_call.rs` |
//! | what becomes of a redirect (302) | `serve/response/redirect/mod.rs`; at an origin of its own, `local/targets/location.rs` |
//! | what becomes of a cookie | `serve/response/cookies.rs`, `serve/forward/headers/cookies.rs`; at an origin of its own, `local/targets/cookies.rs` |
//! | which pages are rewritten | `serve/html/rewriter.rs` |
//! | when a caller is told to wait (429) | `serve/fairness/mod.rs` |
//! | what is cached, how long and how much; every limit and timeout | `docs/limits.md` |
//! | which attack is answered by what | `docs/security.md` |
//!
//! # Invariants
//!
//! - Nothing is forwarded without a [`serve::authorization::Permit`]; [`serve::authorization::Authorization`] is its
//!   only maker.
//! - The path is read once; authorization, destination and forwarding read the same [`serve::api::RequestInfo`].
//! - Only `serve/forward/transport/connector.rs` dials, and it takes a [`serve::destination::DialableAddr`], which only
//!   `serve/destination/address_policy.rs` makes. No stage asks DNS.
//! - No stage after authentication sees the caller's credentials or a header that claims an identity.
//! - Bodies stream both ways. What is kept of one is bounded: what a page's rewriting needs, a short body that a
//!   redirect may ask for again, a login form.
//! - A redirect that is followed here stays inside the target, and each hop is authorized like a request of its own.
//! - No backend speaks for more than its own target: not by cookies, not by headers, not by links.
//! - Discovery, OpenAPI and health are served from memory, whatever the data plane or the cluster is doing.
//! - Every refusal is a `metav1.Status`; a request never ends in an error of this server's own type.
//! - Every spawned task is known to [`lifecycle`].

// Rules of the product alone: a test may end at what it did not expect.
#![warn(
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unused_self,
    clippy::unwrap_used
)]
// The fuzzer has a `main` of its own.
#![cfg_attr(fuzzing, no_main)]

pub mod serve;

pub mod local;

pub mod cli;

pub mod protocol;

pub mod lifecycle;

pub mod causes;

pub mod observed;

#[cfg(test)]
mod effort;

#[cfg(test)]
mod fuzz;

//! Targets: Services, pods and nodes at origins of their own. In: a request to such an origin. Out: the target's
//! response.
//!
//! Through Throughway everything arrives as it was sent (`throughway_proxy`); the built-in proxy changes some of it,
//! which is undone as far as it can be (`built_in`). `detector` finds out which of them there is; `--via` decides
//! otherwise.
//!
//! Refuses: what `--targets` and the rules don't accept (`access`), and what the cluster refuses, told for a person
//! (`refusal`): no such target, no right, no endpoint.

pub(super) mod access;
mod built_in;
mod cookies;
pub(super) mod detector;
mod location;
pub(super) mod mode;
mod permissions;
mod ports;
pub(super) mod proxy;
mod refusal;
pub(super) mod request;
mod suggestions;
mod throughway_proxy;
mod unprefix;

#[cfg(test)]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;

//! A real Chromium in front of the whole road: what pages do, construct by construct.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets something unexpected ends there"
)]
#![allow(
    clippy::unused_self,
    clippy::too_many_lines,
    reason = "a test's helpers read as what the cluster does"
)]
#![allow(dead_code, reason = "not every helper has a user in every test binary")]
#![allow(unreachable_pub, reason = "helpers are shared between test binaries")]
#![allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's tasks, files and connections are not for tests"
)]

mod app;
mod itself;
mod relay;
mod world;

mod cross_site;
mod movement;
mod policies;
mod routers;
mod scripts;
mod statics;
mod users;

//! `throughway local` as a person meets it: the real binary, in a real Chromium, in front of a small API server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets something unexpected ends there"
)]
#![allow(dead_code, reason = "not every helper has a user in every test binary")]
#![allow(unreachable_pub, reason = "helpers are shared between test binaries")]
#![allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's tasks, files and connections are not for tests"
)]

mod origins;
mod start_page;
mod world;

//! `throughway local` as a person meets it: the real binary, in a real Chromium, in front of a small API server.

mod origins;
mod start_page;
mod world;

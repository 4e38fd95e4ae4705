//! `throughway local` as a person meets it: the real binary, in a real Chromium, in front of a small API server.

mod open_page;
mod origins;
mod start_page;
mod world;

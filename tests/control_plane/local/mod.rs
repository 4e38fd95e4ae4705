//! `throughway local` in front of a real kube-apiserver.

mod attacks;
mod compare;
mod origins;
mod start_page;
mod streams;

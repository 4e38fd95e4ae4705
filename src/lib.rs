//! Throughway: the Kubernetes API server's proxy as a server of its own.

pub mod config;
pub mod status;

pub mod telemetry;

pub mod lifecycle;

pub mod cluster;

pub mod certificates;

pub mod connection;

pub mod api;

pub mod authentication;

pub mod authorization;

pub mod target;

pub mod endpoint;

pub mod forward;

pub mod rewrite;

pub mod proxy;

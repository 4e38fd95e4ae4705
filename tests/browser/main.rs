//! A real Chromium in front of the whole road: what pages do, construct by construct.

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

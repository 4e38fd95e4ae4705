//! What `make run` starts, tried as it tells people to.

mod commands;
mod dashboard;

use crate::demo::Ports;

const ANY: Ports = Ports {
    api: 0,
    companion: 0,
};

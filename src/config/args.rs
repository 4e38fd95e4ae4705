//! The command line, as typed.

use super::Config;

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    Serve(Box<Config>),
}

/// Reads and checks the process's own command line.
pub fn read() -> Command {
    todo!()
}

//! The command `throughway`: arguments, configuration, logs, server, exit code.

// Rules of the product alone: a test may end at what it did not expect.
#![warn(
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unused_self,
    clippy::unwrap_used
)]

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use throughway::causes::causes;
use throughway::cli;
use throughway::cli::{Command, Exit};
use throughway::lifecycle::{Signals, log, memory};
use throughway::local::config::LocalConfig;
use throughway::serve::config::{self, Config};
use throughway::serve::server::{Server, StartError};
use throughway::serve::telemetry::AccessLog;

/// A big cluster's objects come and go beside short-lived requests; glibc's and musl's allocators slow down on that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `EX_USAGE` of sysexits.h: the command line is wrong, and trying again won't help.
const WRONG_SETTING: u8 = 64;

fn main() -> ExitCode {
    memory::take_small_pages();
    match cli::read(std::env::args_os()) {
        Ok(Command::Serve(config)) => serve(*config),
        Ok(Command::Local(config)) => local(*config),
        Err(Exit::Help(text)) => print_out(&text),
        Err(Exit::Usage(line)) => {
            eprintln!("throughway: {line}");
            ExitCode::from(WRONG_SETTING)
        }
    }
}

/// Writes what was asked for. A reader such as `head` that has enough is no failure.
fn print_out(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(failed) if failed.kind() != ErrorKind::BrokenPipe => {
            eprintln!("throughway: standard output can't be written: {failed}");
            ExitCode::FAILURE
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn local(config: LocalConfig) -> ExitCode {
    log::start(&config.log);
    match throughway::local::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("throughway: {failed}");
            ExitCode::FAILURE
        }
    }
}

fn serve(config: Config) -> ExitCode {
    memory::take_usual_pages();
    log::start(&config.log);
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Start(failed)) if failed.is_a_wrong_setting() => {
            eprintln!("throughway: {}", causes(&failed));
            ExitCode::from(WRONG_SETTING)
        }
        Err(failed) => {
            tracing::error!(error = %causes(&failed), "the server could not be started");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the system gives no threads, timers or signals: {0}")]
    System(#[from] std::io::Error),
}

fn run(config: Config) -> Result<(), Failed> {
    let access = match config.access_log {
        config::AccessLogMode::On => AccessLog::to(std::io::stdout())?,
        config::AccessLogMode::Off => AccessLog::off(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(until_a_signal(config, access.clone()));
    // With the runtime go the last requests, which leave their lines.
    drop(runtime);
    access.finish();
    served
}

async fn until_a_signal(config: Config, access: AccessLog) -> Result<(), Failed> {
    let mut signals = Signals::listen()?;
    let server = tokio::select! {
        server = Server::build(config, access) => server?,
        () = signals.next() => return Ok(()),
    };
    tracing::info!(address = %server.address(), "listening");
    server.run(signals).await;
    Ok(())
}

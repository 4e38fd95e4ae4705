//! The command `throughway`: arguments, configuration, logs, server, exit code.

use std::process::ExitCode;

use throughway::config::{self, Command, Config, NoCommand};
use throughway::lifecycle::Signals;
use throughway::server::Server;
use throughway::telemetry::{self, AccessLog};

/// A big cluster's objects come and go beside short-lived requests; glibc's and musl's allocators slow down on that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `EX_USAGE` of sysexits.h: the command line is wrong, and trying again won't help.
const WRONG_SETTING: u8 = 64;

fn main() -> ExitCode {
    match config::read(std::env::args_os()) {
        Ok(Command::Serve(config)) => serve(*config),
        Err(NoCommand::Text(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(NoCommand::Wrong(line)) => {
            eprintln!("throughway: {line}");
            ExitCode::from(WRONG_SETTING)
        }
    }
}

fn serve(config: Config) -> ExitCode {
    telemetry::log::start(&config.log);
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            tracing::error!(error = %failed, "the server could not be started");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let access = match config.access_log {
        config::AccessLog::On => AccessLog::to(std::io::stdout())?,
        config::AccessLog::Off => AccessLog::off(),
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

async fn until_a_signal(
    config: Config,
    access: AccessLog,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut signals = Signals::listen()?;
    let server = tokio::select! {
        server = Server::build(config, access) => server?,
        () = signals.next() => return Ok(()),
    };
    tracing::info!(address = %server.address(), "listening");
    server.run(signals).await;
    Ok(())
}

//! `--open`: a target in the user's browser.

use std::io;
use std::process::Stdio;

use tokio::process::Command;

use super::login::Logins;
use super::place::Target;
use super::server::print;
use crate::lifecycle::memory::with_usual_pages;

/// What opens an address in the user's browser, where `BROWSER` does not say it.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else {
    "xdg-open"
};

/// Opens a target's origin; a browser that has to log in is let in on the way. The address is printed too, for where there is
/// no browser.
pub(super) fn target(target: &Target, port: u16, logins: Option<&Logins>) -> io::Result<()> {
    let origin = format!("http://{}:{port}/", target.host());
    print(&format!("Opening {origin}"))?;
    let address = match logins {
        Some(logins) => logins.address(&origin),
        None => origin,
    };
    let opener = std::env::var("BROWSER")
        .ok()
        .filter(|name| !name.is_empty());
    let opener = opener.as_deref().unwrap_or(OPENER);
    let mut command = Command::new(opener);
    command
        .arg(&address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Whatever becomes of it, the runtime takes note of its end.
    let started = with_usual_pages(|| command.spawn());
    if let Err(failed) = started {
        eprintln!("{opener} can't be started ({failed}); open the address yourself: {address}");
    }
    Ok(())
}

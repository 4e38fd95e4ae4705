//! `--open`: a target in the user's browser.
//!
//! Every user of a machine can read the arguments of every process, so an address with a token is in none: the browser
//! is given a file that only this user can read, which leads there. The file goes when the token was used.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use tokio::process::Command;

use super::inbound::host_route::Target;
use super::inbound::login::BrowserLogins;
use super::inbound::random_token::random_token;
use super::temporary_file::TemporaryFile;
use super::terminal::{NoOutput, print};
use crate::lifecycle::memory::with_usual_pages;
use crate::protocol::html_escape;

/// What opens an address in the user's browser, where `BROWSER` does not say it.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else {
    "xdg-open"
};

/// What a path has in the address of a file.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_');

/// Opens a target's origin; a browser that has to log in is let in on the way. The address is printed too, for where
/// there is no browser.
pub(super) fn open_target(
    target: &Target,
    port: u16,
    logins: Option<&BrowserLogins>,
) -> Result<(), NoOutput> {
    let origin = format!("http://{}:{port}/", target.host());
    print(&format!("Opening {origin}"))?;
    match logins {
        None => open(&origin),
        Some(logins) => match page(&logins.address(&origin)) {
            Ok(page) => {
                open(&address(&page));
                // Kept until the token is used: without the file the browser has nothing to open.
                logins.opened(page);
            }
            Err(failed) => eprintln!(
                "no page can be written for the browser ({failed}); log in by the address above"
            ),
        },
    }
    Ok(())
}

/// A page that leads to an address.
fn page(address: &str) -> io::Result<TemporaryFile> {
    let folder = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        // The runtime folder is the user's own and is emptied at logout.
        .filter(|folder| folder.is_absolute());
    let folder = folder.unwrap_or_else(std::env::temp_dir);
    let name = random_token().map_err(io::Error::other)?;
    let address = html_escape::escaped(address);
    let page = format!(
        "<!doctype html><meta charset=utf-8><meta name=referrer content=no-referrer><title>throughway local</title>\n\
         <meta http-equiv=refresh content=\"0;url={address}\"><a href=\"{address}\">Log in</a>\n"
    );
    TemporaryFile::create(
        folder.join(format!("throughway-{name}.html")),
        page.as_bytes(),
    )
}

fn address(page: &TemporaryFile) -> String {
    let path = page.0.as_os_str().as_encoded_bytes();
    format!("file://{}", percent_encode(path, IN_PATH))
}

fn open(address: &str) {
    let opener = std::env::var("BROWSER")
        .ok()
        .filter(|name| !name.is_empty());
    let opener = opener.as_deref().unwrap_or(OPENER);
    let mut command = Command::new(opener);
    command
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Whatever becomes of it, the runtime takes note of its end.
    let started = with_usual_pages(|| command.spawn());
    if let Err(failed) = started {
        eprintln!("{opener} can't be started ({failed}); open the address yourself");
    }
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "the rules for the product's files are not for tests"
)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_its_user_alone_leads_to_the_address_and_goes() {
        use std::os::unix::fs::PermissionsExt;
        let to = "http://localhost:8001/.throughway/login?token=1234&to=http%3A%2F%2Fx";
        let page = page(to).unwrap();
        let path = page.0.clone();
        let rights = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(rights & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        let escaped = to.replace('&', "&amp;");
        assert!(
            text.contains(&format!("content=\"0;url={escaped}\"")),
            "{text}"
        );
        assert_eq!(address(&page), format!("file://{}", path.display()));
        drop(page);
        assert!(!path.exists());
    }
}

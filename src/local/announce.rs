//! What the companion says on the terminal. The first line is kubectl proxy's, which scripts wait for.

use super::api_server::Verification;
use super::inbound::host_route::Target;
use super::inbound::listen::CompanionListener;
use super::inbound::login::BrowserLogins;
use super::targets::detector::ModeDetector;
use super::targets::mode::ProxyMode;
use super::terminal::{NoOutput, print, problem_text, warn};
use crate::local::config::{
    FilterRules, Filtering, LocalConfig, LocalListen, ServerPath, StaticFiles,
};

/// Where it serves, and what about it may surprise.
pub(super) fn serving(listener: &CompanionListener, config: &LocalConfig) -> Result<(), NoOutput> {
    match &config.api.filter {
        Filtering::Off if matches!(config.listen, LocalListen::Tcp { .. }) => warn(
            "the rules for requests are off; pages of a browser that can reach this port may use your credentials",
        ),
        Filtering::Rules(FilterRules {
            reject_paths,
            reject_methods,
            ..
        }) if reject_paths.is_empty() || reject_methods.is_empty() => {
            warn("the rules for requests refuse less than usual");
        }
        _ => {}
    }
    if let LocalListen::Tcp { address, .. } = config.listen
        && !address.is_loopback()
    {
        warn("others can reach this port; --login asks browsers for a token first");
    }
    // After the warnings, as scripts take this line for the word that all is ready.
    print(&format!("Starting to serve on {listener}"))
}

/// What is wrong with `--www`, as kubectl says it. It is served all the same, as a folder may come later.
pub(super) fn files(files: Option<&StaticFiles>) {
    let Some(StaticFiles { directory, .. }) = files else {
        return;
    };
    let folder = directory.display();
    match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => warn(&format!("--www: {folder} is not a directory")),
        Err(failed) => warn(&format!("--www: {folder} can't be read: {failed}")),
    }
}

/// `--forward`.
pub(super) fn forwarding(listener: &CompanionListener, target: &Target) -> Result<(), NoOutput> {
    let host = target.host();
    let name = host.strip_suffix(".localhost").unwrap_or(&host);
    print(&format!("Forwarding from {listener} to {name}"))
}

/// `--login`.
pub(super) fn login(logins: &BrowserLogins) -> Result<(), NoOutput> {
    print(&format!("To log a browser in, open {}", logins.address("")))
}

/// Says on standard error how targets are reached, once that is known, or what is in the way.
pub(super) async fn mode(detector: ModeDetector) {
    let line = match detector.detect().await {
        Ok(ProxyMode::Throughway(_)) => {
            "Targets are reached through Throughway: everything arrives as it was sent.".to_owned()
        }
        Ok(ProxyMode::BuiltIn { .. }) => {
            "Targets are reached through the built-in proxy; the start page says what it can't do."
                .to_owned()
        }
        Ok(ProxyMode::Unknown) => {
            "The cluster does not know you; see whether kubectl auth whoami does.".to_owned()
        }
        Err(failed) => problem_text(&failed.problem()),
    };
    eprintln!("{line}");
}

/// What kubectl says of a server address with a path.
pub(super) fn server_path(path: &str, handling: ServerPath) {
    if handling == ServerPath::Ignored && !matches!(path, "" | "/") {
        warn(&format!(
            "the kubeconfig's server address has the path {path}; --append-server-path puts it before each request's"
        ));
    }
}

/// `insecure-skip-tls-verify`.
pub(super) fn verification(verification: Verification) {
    if verification == Verification::Skipped {
        warn(
            "the API server's certificate is not checked, so whoever is on the way can take your credentials",
        );
    }
}

//! What the companion says on the terminal. The first line is kubectl proxy's, which scripts wait for.

use super::api_server::Verification;
use super::inbound::host_route::Target;
use super::inbound::listen::Listener;
use super::inbound::login::Logins;
use super::problem::{Advice, Problem};
use super::server::{NoOutput, print};
use super::start_page::WayFact;
use super::targets::Ways;
use crate::cli::{FilterRules, Filtering, LocalConfig, LocalListen, ServerPath, StaticFiles};

/// Where it serves, and what about it may surprise.
pub(super) fn serving(listener: &Listener, config: &LocalConfig) -> Result<(), NoOutput> {
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
pub(super) fn forwarding(listener: &Listener, target: &Target) -> Result<(), NoOutput> {
    let host = target.host();
    let name = host.strip_suffix(".localhost").unwrap_or(&host);
    print(&format!("Forwarding from {listener} to {name}"))
}

/// `--login`.
pub(super) fn login(logins: &Logins) -> Result<(), NoOutput> {
    print(&format!("To log a browser in, open {}", logins.address("")))
}

/// Says on standard error how targets are reached, once that is known, or what is in the way.
pub(super) async fn way(ways: Ways) {
    let line = match ways.look().await {
        Ok(WayFact::Throughway) => {
            "Targets are reached through Throughway: everything arrives as it was sent.".to_owned()
        }
        Ok(WayFact::BuiltIn { .. }) => {
            "Targets are reached through the built-in proxy; the start page says what it can't do."
                .to_owned()
        }
        Ok(WayFact::Unknown) => {
            "The cluster does not know you; see whether kubectl auth whoami does.".to_owned()
        }
        Err(failed) => in_words(&failed.problem()),
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

/// A problem for the terminal: what happened, and below it what to do. Names of a kubeconfig are in it, which could lead a
/// terminal astray.
pub(super) fn in_words(problem: &Problem) -> String {
    let mut text = problem.status.message.clone();
    for advice in &problem.advice {
        text.push('\n');
        match advice {
            Advice::Sentence(sentence) => text.push_str(sentence),
            Advice::Command { purpose, line } => text.push_str(&format!("{purpose}\n  {line}")),
            Advice::Link { label, url } => text.push_str(&format!("{label}: {url}")),
        }
    }
    text.retain(|letter| letter == '\n' || !letter.is_control());
    text
}

fn warn(sentence: &str) {
    eprintln!("warning: {sentence}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::status::Status;

    #[test]
    fn a_name_of_the_kubeconfig_leads_no_terminal_astray() {
        let status = Status::bad_gateway("no context \u{1b}[2J\u{9b}31mprod\u{7}\r");
        let problem = Problem::new(status, "No such context").advise(Advice::Command {
            purpose: "See all".to_owned(),
            line: "kubectl \u{1b}]0;x\u{7}".to_owned(),
        });
        let text = "no context [2J31mprod\nSee all\n  kubectl ]0;x";
        assert_eq!(in_words(&problem), text);
    }
}

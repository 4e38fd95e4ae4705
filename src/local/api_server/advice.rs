//! How errors of this folder are told: a title, a sentence, and which command helps.
//!
//! Each error becomes one [`Problem`]. Its message is the error's own text, which names files, contexts and addresses
//! but no credential.

use std::path::{Path, PathBuf};

use http::StatusCode;

use super::error::{ConfigError, ConnectError, CredentialError, PemError, UntrustedReason};
use crate::local::problem::{Advice, Problem, shell_word};
use crate::protocol::status::{Reason, Status};

const SHOW_CONTEXTS: &str = "kubectl config get-contexts";
const WHOAMI: &str = "kubectl auth whoami";
const SHOW_CONFIG: &str = "kubectl config view";

impl ConfigError {
    /// What a person is told, and what helps.
    pub(in crate::local) fn problem(&self) -> Problem {
        let problem = |title| Problem::new(Status::internal(self.to_string()), title);
        match self {
            Self::Nowhere { looked_at } => nowhere(problem("No kubeconfig"), looked_at),
            Self::Unreadable { path, .. } => {
                problem("The kubeconfig can't be read").advise(command(
                    "See the file and its rights",
                    &format!("ls -l {}", shown(path)),
                ))
            }
            Self::Malformed { path, .. } => problem("The kubeconfig is malformed").advise(command(
                "See what kubectl says about it",
                &format!("kubectl config view --kubeconfig {}", shown(path)),
            )),
            Self::NoContext { known, .. } => listed(problem("No such context"), "contexts", known)
                .advise(command("See all contexts", SHOW_CONTEXTS)),
            Self::NoCluster { known, .. } => listed(problem("No such cluster"), "clusters", known)
                .advise(command("See all clusters", "kubectl config get-clusters")),
            Self::NoUser { known, .. } => listed(problem("No such user"), "users", known)
                .advise(command("See all users", "kubectl config get-users")),
            Self::NoServer { cluster } => problem("No server address").advise(command(
                "Set it",
                &format!("kubectl config set-cluster {} --server=https://HOST:PORT", shell_word(cluster)),
            )),
            Self::ImpersonationWithoutUser => problem("Nobody to impersonate").advise(command(
                "Name the user as well",
                "throughway local --as NAME",
            )),
            Self::NoProvider { .. } => problem("Unknown auth-provider")
                .advise(Advice::Sentence(
                    "kubectl knows only oidc as well; gcp and azure were replaced by plugins."
                        .to_owned(),
                ))
                .advise(command("See what the kubeconfig says", SHOW_CONFIG)),
            Self::PemKind(error) => error.problem(),
            Self::Credential(error) => error.problem(),
            Self::PluginNotAllowed { path, .. } | Self::Kuberc { path, .. } => {
                not_allowed(problem("The plugin may not be run"), path)
            }
            Self::InsecureWithRoots => {
                problem("The kubeconfig can't be used").advise(Advice::Sentence(
                    "Take insecure-skip-tls-verify out of the kubeconfig, so that the server's certificate is checked."
                        .to_owned(),
                ))
            }
            Self::BadServer { .. }
            | Self::BadProxy
            | Self::BadServerName { .. }
            | Self::SeveralCredentials { .. }
            | Self::CertificateWithoutKey { .. }
            | Self::Plugin { .. }
            | Self::Unsendable { .. } => problem("The kubeconfig can't be used")
                .advise(command("See what it says", SHOW_CONFIG)),
        }
    }
}

fn nowhere(problem: Problem, looked_at: &[PathBuf]) -> Problem {
    let files = looked_at.iter().map(|path| path.display().to_string());
    let files: Vec<String> = files.collect();
    problem
        .advise(Advice::Sentence(format!(
            "Looked for it in {}. Give it with --kubeconfig or in the environment variable KUBECONFIG.",
            if files.is_empty() { "no place".to_owned() } else { files.join(", ") }
        )))
        .advise(command("See which contexts kubectl knows", SHOW_CONTEXTS))
        .advise(command("Name the file", "throughway local --kubeconfig FILE"))
}

fn not_allowed(problem: Problem, kuberc: &Path) -> Problem {
    problem.advise(command(
        "See what kubectl's preferences say",
        &format!("cat {}", shown(kuberc)),
    ))
}

/// A path as a shell reads it.
fn shown(path: &Path) -> String {
    shell_word(&path.display().to_string())
}

impl PemError {
    pub(in crate::local) fn problem(&self) -> Problem {
        let problem = |title| Problem::new(Status::bad_gateway(self.to_string()), title);
        match self {
            Self::Expired { .. } => expired(problem("The client certificate has expired")),
            Self::Unreadable { .. } | Self::Malformed { .. } | Self::Unusable { .. } => {
                problem("A certificate can't be used")
                    .advise(command("See what the kubeconfig says", SHOW_CONFIG))
            }
        }
    }
}

impl CredentialError {
    /// What a person is told, and what helps.
    pub(in crate::local) fn problem(&self) -> Problem {
        let problem = |title| Problem::new(Status::bad_gateway(self.to_string()), title);
        match self {
            Self::TokenFile { path, .. } => {
                problem("The token file can't be read").advise(command(
                    "See the file and its rights",
                    &format!("ls -l {}", shown(path)),
                ))
            }
            Self::Unsendable { .. } => problem("The token can't be used")
                .advise(command("See whether kubectl can use it", WHOAMI)),
            Self::CertificateExpired { .. } => {
                expired(problem("The client certificate has expired"))
            }
            Self::PluginMissing {
                command: plugin,
                install_hint,
            } => {
                let hint = install_hint.clone().map(Advice::Sentence);
                hint.into_iter()
                    .fold(problem("A plugin is missing"), Problem::advise)
                    .advise(command(
                        "See where it is, once it is installed",
                        &format!("command -v {}", shell_word(plugin)),
                    ))
            }
            Self::PluginFailed {
                command: plugin, ..
            } => login(problem("The login has failed"), plugin),
            Self::PluginUnstartable {
                command: plugin, ..
            }
            | Self::PluginOutput {
                command: plugin, ..
            }
            | Self::PluginTimeout {
                command: plugin, ..
            } => login(problem("A plugin does not work"), plugin),
            Self::PluginNeedsTerminal { .. } => problem("A plugin has questions")
                .advise(command("Start this in a terminal", "throughway local"))
                .advise(command("See whether kubectl gets in", WHOAMI)),
            Self::LoginExpired => problem("The login has expired")
                .advise(Advice::Sentence(
                    "Log in anew where the kubeconfig came from; it is read again by itself."
                        .to_owned(),
                ))
                .advise(command("See whether kubectl gets in", WHOAMI)),
            Self::Interrupted => problem("The login can't be renewed"),
            Self::Issuer { .. } => problem("The login can't be renewed")
                .advise(command("See whether kubectl gets in", WHOAMI)),
        }
    }
}

impl ConnectError {
    /// What a person is told, and what helps.
    pub(in crate::local) fn problem(&self) -> Problem {
        let problem = |title| Problem::new(Status::bad_gateway(self.to_string()), title);
        let late = |title| Problem::new(Status::gateway_timeout(self.to_string()), title);
        match self {
            Self::PemKind(error) => error.problem(),
            Self::Credential(error) => error.problem(),
            Self::UnknownName { .. } => network(problem("The API server's name is not known")),
            Self::Refused { .. } => network(problem("The API server does not listen")),
            Self::Unreachable { .. } => network(problem("The API server can't be reached")),
            Self::ConnectTimeout { .. } | Self::HandshakeTimeout { .. } => {
                network(late("The API server does not answer"))
            }
            Self::Untrusted { reason, .. } => untrusted(problem("The API server is not trusted"), reason),
            Self::IdentityRefused { .. } => {
                let status = Status::new(StatusCode::BAD_GATEWAY, Reason::Unknown, self.to_string());
                Problem::new(status, "The client certificate is refused")
                    .advise(command("See whether kubectl is let in", WHOAMI))
            }
            Self::Handshake { .. } => problem("No TLS with the API server")
                .advise(command("See which server is meant", "kubectl cluster-info")),
            Self::Proxy { .. } => problem("The proxy gives no connection").advise(Advice::Sentence(
                "The proxy stands in the kubeconfig's proxy-url or in the environment variable HTTPS_PROXY; NO_PROXY lists hosts that are reached without it.".to_owned(),
            )),
        }
    }
}

fn expired(problem: Problem) -> Problem {
    problem
        .advise(Advice::Sentence(
            "Fetch the kubeconfig anew from where it came from; it is read again by itself."
                .to_owned(),
        ))
        .advise(command("See whether the cluster still knows you", WHOAMI))
}

/// The command that logs in anew, for plugins that are widely used.
fn login(problem: Problem, plugin: &str) -> Problem {
    let name = plugin.rsplit(['/', '\\']).next().unwrap_or(plugin);
    let line = match name.trim_end_matches(".exe") {
        "aws" | "aws-iam-authenticator" => "aws sso login",
        "gke-gcloud-auth-plugin" | "gcloud" => "gcloud auth login",
        "kubelogin" | "az" => "az login",
        "doctl" => "doctl auth init",
        "oci" => "oci session authenticate",
        "tsh" => "tsh login",
        _ => WHOAMI,
    };
    let problem = if line == WHOAMI {
        problem
    } else {
        problem.advise(command("Log in anew", line))
    };
    problem.advise(command(
        "See whether kubectl gets in; it runs the same plugin",
        WHOAMI,
    ))
}

fn untrusted(problem: Problem, reason: &UntrustedReason) -> Problem {
    let sentence = match reason {
        UntrustedReason::UnknownIssuer => {
            "The kubeconfig's certificate-authority is another one than the server's. Fetch the kubeconfig anew, or give the right one with --certificate-authority."
        }
        UntrustedReason::OtherName { .. } => {
            "If the server is the right one, give a name of its certificate with --tls-server-name."
        }
        UntrustedReason::Expired | UntrustedReason::NotYetValid => {
            "Either the server's certificate has to be renewed, or this machine's clock is wrong."
        }
        UntrustedReason::Other(_) => "Fetch the kubeconfig anew from where it came from.",
    };
    problem
        .advise(Advice::Sentence(sentence.to_owned()))
        .advise(command(
            "See whether kubectl trusts it",
            "kubectl cluster-info",
        ))
}

fn network(problem: Problem) -> Problem {
    problem.advise(command(
        "See whether kubectl reaches it; often a VPN is off or the cluster is stopped",
        "kubectl cluster-info",
    ))
}

fn listed(problem: Problem, what: &str, known: &[String]) -> Problem {
    let sentence = if known.is_empty() {
        format!("There are no {what} in it at all.")
    } else {
        format!("The {what} are: {}.", known.join(", "))
    };
    problem.advise(Advice::Sentence(sentence))
}

fn command(purpose: &str, line: &str) -> Advice {
    Advice::Command {
        purpose: purpose.to_owned(),
        line: line.to_owned(),
    }
}

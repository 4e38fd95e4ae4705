//! `throughway local`'s command line, as typed: one field a flag, in the groups that `--help` shows.
//!
//! Names, short forms and defaults are those of `kubectl proxy` and of kubectl's own global flags wherever they have the flag.
//!
//! kubectl: `pkg/cmd/proxy/proxy.go`, and `pkg/genericclioptions/config_flags.go` of k8s.io/cli-runtime.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::super::parse;
use super::{CrossSite, PortForward, TargetName, TargetPeers, Via};

/// The port of kubectl proxy.
pub(super) const DEFAULT_PORT: u16 = 8001;

/// Rules that say nothing, which are the defaults of kubectl proxy.
pub(super) const ACCEPT_EVERY_PATH: &str = "^.*";
pub(super) const REJECT_NO_METHOD: &str = "^$";

/// What kubectl proxy refuses of the API where it is not told.
pub(super) const REJECT_PATHS: &str = "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach";

const EXAMPLES: &str = "\
Examples:
  # The Kubernetes API on http://localhost:8001/api, and in a browser http://localhost:8001/ shows what can be reached
  throughway local

  # Open Service grafana of namespace monitoring at an origin of its own
  throughway local --open svc/grafana -n monitoring

  # Prometheus on a port of its own as well, for tools that know no host names
  throughway local --forward 9090:svc/prometheus -n monitoring

  # As kubectl proxy: another port, static files beside the API
  throughway local --port=8011 --www=./local/www/

On a machine with several users, add --login.";

/// The flags of `throughway local`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub(in crate::cli) struct Line {
    #[command(flatten)]
    pub(super) cluster: ClusterFlags,
    #[command(flatten)]
    pub(super) proxy: ProxyFlags,
    #[command(flatten)]
    pub(super) origins: OriginFlags,
    /// What is logged, as a filter such as info or throughway=debug
    #[arg(
        long,
        env = "THROUGHWAY_LOG",
        hide_env_values = true,
        // A list that may not be made is no news: the start page tries which it may.
        default_value = "warn,kube_runtime=error",
        value_name = "FILTER"
    )]
    pub(super) log: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster (as kubectl's global flags)")]
pub(super) struct ClusterFlags {
    /// The kubeconfig [default: KUBECONFIG, or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// The kubeconfig's context
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,

    /// The kubeconfig's cluster
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,

    /// The kubeconfig's user
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,

    /// The namespace of targets that are named without one [default: the context's]
    #[arg(long, short = 'n', value_name = "NAME")]
    pub(super) namespace: Option<String>,

    /// Address of the API server
    #[arg(long, short = 's', value_name = "URL")]
    pub(super) server: Option<String>,

    /// Bearer token
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,

    /// User name for basic authentication
    #[arg(long, value_name = "NAME")]
    pub(super) username: Option<String>,

    /// Password for basic authentication
    #[arg(long, value_name = "PASSWORD")]
    pub(super) password: Option<String>,

    /// Client certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub(super) client_certificate: Option<PathBuf>,

    /// Key of the client certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub(super) client_key: Option<PathBuf>,

    /// Roots for the API server's certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub(super) certificate_authority: Option<PathBuf>,

    /// The name that the API server's certificate is checked for
    #[arg(long, value_name = "NAME")]
    pub(super) tls_server_name: Option<String>,

    /// Accept any certificate of the API server
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) insecure_skip_tls_verify: Option<bool>,

    /// The user to impersonate
    #[arg(long = "as", value_name = "NAME")]
    pub(super) impersonate: Option<String>,

    /// A group to impersonate; may be given several times
    #[arg(long = "as-group", value_name = "GROUP")]
    pub(super) impersonate_groups: Vec<String>,

    /// The UID to impersonate
    #[arg(long = "as-uid", value_name = "UID")]
    pub(super) impersonate_uid: Option<String>,

    /// An extra fact to impersonate, as KEY=VALUE; may be given several times
    #[arg(long = "as-user-extra", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(super) impersonate_extra: Vec<(String, String)>,

    /// How long the head of an answer may take; 0 is no limit
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse::duration_or_seconds)]
    pub(super) request_timeout: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Proxy (as kubectl proxy's flags)")]
pub(super) struct ProxyFlags {
    /// The port to listen on; 0 takes a free one
    #[arg(long, short = 'p', value_name = "PORT", default_value_t = DEFAULT_PORT)]
    pub(super) port: u16,

    /// The address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(super) address: IpAddr,

    /// A Unix socket to listen on instead
    #[arg(long, short = 'u', value_name = "FILE")]
    pub(super) unix_socket: Option<PathBuf>,

    /// The prefix that the API is served below
    #[arg(long, value_name = "PREFIX", default_value = "/")]
    pub(super) api_prefix: String,

    /// Put the path of the kubeconfig's server address before each request's
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    pub(super) append_server_path: bool,

    /// Regular expressions for hosts that are accepted
    #[arg(
        long,
        value_name = "REGEXPS",
        default_value = r"^localhost$,^127\.0\.0\.1$,^\[::1\]$"
    )]
    pub(super) accept_hosts: String,

    /// Regular expressions for paths that are accepted
    #[arg(long, value_name = "REGEXPS", default_value = ACCEPT_EVERY_PATH)]
    pub(super) accept_paths: String,

    /// Regular expressions for paths that are refused, even if they are accepted
    /// [default: ^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach]
    #[arg(long, value_name = "REGEXPS")]
    pub(super) reject_paths: Option<String>,

    /// Regular expressions for methods that are refused
    #[arg(long, value_name = "REGEXPS", default_value = REJECT_NO_METHOD)]
    pub(super) reject_methods: String,

    /// Refuse nothing of the API; dangerous on a port that pages of a browser can reach
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    pub(super) disable_filter: bool,

    /// A directory of static files to serve as well
    #[arg(long, short = 'w', value_name = "DIR")]
    pub(super) www: Option<PathBuf>,

    /// The prefix that the static files are served below
    #[arg(long, short = 'P', value_name = "PREFIX", default_value = "/static/")]
    pub(super) www_prefix: String,

    /// The period of TCP keep-alives towards the API server; 0 is the usual one
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse::duration)]
    pub(super) keepalive: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Origins")]
pub(super) struct OriginFlags {
    /// A target at a port of its own, as PORT:TARGET such as 9090:svc/prometheus; may be given several times
    #[arg(long, value_name = "PORT:TARGET", value_parser = super::super::target_name::forward)]
    pub(super) forward: Vec<PortForward>,

    /// Open a target in the browser, such as svc/grafana, pod/web-0:8080 or svc/dex:https:5556
    #[arg(long, value_name = "TARGET", value_parser = super::super::target_name::target, conflicts_with = "unix_socket")]
    pub(super) open: Option<TargetName>,

    /// Ask every browser for a one-time token first
    #[arg(long)]
    pub(super) login: bool,

    /// Which proxy of the cluster is used for targets
    #[arg(
        long,
        value_name = "auto|throughway|built-in",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub(super) via: Via,

    /// From where targets can be reached at their own origins and at forwarded ports
    #[arg(
        long,
        value_name = "loopback|everywhere",
        default_value = "loopback",
        hide_possible_values = true
    )]
    pub(super) targets: TargetPeers,

    /// What becomes of requests to the API that a page of another site makes, and of pages of targets at the API's address
    #[arg(
        long,
        value_name = "refuse|allow",
        default_value = "refuse",
        hide_possible_values = true
    )]
    pub(super) cross_site: CrossSite,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is no KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

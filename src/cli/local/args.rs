//! `throughway local`'s command line, as typed: one field a flag, in the groups that `--help` shows.
//!
//! Names, short forms and defaults are those of `kubectl proxy` and of kubectl's own global flags wherever they have
//! the flag.
//!
//! kubectl: `pkg/cmd/proxy/proxy.go`, and `pkg/genericclioptions/config_flags.go` of k8s.io/cli-runtime.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::parse;
use crate::local::config::{PortForward, TargetName, TargetPeers, Via};
use crate::protocol::fetch_metadata::CrossSitePolicy;

/// The port of kubectl proxy.
pub(super) const DEFAULT_PORT: u16 = 8001;

/// Rules that say nothing, which are the defaults of kubectl proxy.
pub(super) const ACCEPT_EVERY_PATH: &str = "^.*";
pub(super) const REJECT_NO_METHOD: &str = "^$";

/// What kubectl proxy refuses of the API where it is not told.
pub(super) const REJECT_PATHS: &str = "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach";

const EXAMPLES: &str = "\
Examples:
  # Serve the Kubernetes API at http://localhost:8001/api, and a start page at http://localhost:8001/
  throughway local

  # Open the Service grafana of the namespace monitoring at an origin of its own
  throughway local --open svc/grafana -n monitoring

  # Give Prometheus a port of its own as well, for tools that cannot use its host name
  throughway local --forward 9090:svc/prometheus -n monitoring

  # As with kubectl proxy: another port, and static files beside the API
  throughway local --port=8011 --www=./local/www/

On a machine with several users, add --login.";

/// The flags of `throughway local`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub(in crate::cli) struct Local {
    #[command(flatten)]
    pub(super) cluster: ClusterFlags,
    #[command(flatten)]
    pub(super) proxy: ProxyFlags,
    #[command(flatten)]
    pub(super) origins: OriginFlags,
    /// Filter of the log on standard error, such as info or throughway=debug
    #[arg(
        long,
        help_heading = "Logs",
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
    /// Kubeconfig file [default: KUBECONFIG, or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,

    /// Cluster of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,

    /// User of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,

    /// Namespace of targets that are named without one [default: the context's]
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

    /// Private key of the client certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub(super) client_key: Option<PathBuf>,

    /// CA bundle for the API server's certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub(super) certificate_authority: Option<PathBuf>,

    /// Server name to check the API server's certificate against
    #[arg(long, value_name = "NAME")]
    pub(super) tls_server_name: Option<String>,

    /// Accept any certificate of the API server
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) insecure_skip_tls_verify: Option<bool>,

    /// User to impersonate
    #[arg(long = "as", value_name = "NAME")]
    pub(super) impersonate: Option<String>,

    /// Group to impersonate; may be repeated
    #[arg(long = "as-group", value_name = "GROUP")]
    pub(super) impersonate_groups: Vec<String>,

    /// UID to impersonate
    #[arg(long = "as-uid", value_name = "UID")]
    pub(super) impersonate_uid: Option<String>,

    /// Extra attribute to impersonate, as KEY=VALUE; may be repeated
    #[arg(long = "as-user-extra", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(super) impersonate_extra: Vec<(String, String)>,

    /// Timeout for the headers of a response; 0 means no timeout
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse::duration_or_seconds)]
    pub(super) request_timeout: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Proxy (as kubectl proxy's flags)")]
pub(super) struct ProxyFlags {
    /// Port to listen on; 0 chooses a free port
    #[arg(long, short = 'p', value_name = "PORT", default_value_t = DEFAULT_PORT)]
    pub(super) port: u16,

    /// IP address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(super) address: IpAddr,

    /// Unix socket to listen on instead of a port
    #[arg(long, short = 'u', value_name = "FILE")]
    pub(super) unix_socket: Option<PathBuf>,

    /// Path prefix under which the API is served
    #[arg(long, value_name = "PREFIX", default_value = "/")]
    pub(super) api_prefix: String,

    /// Prepend the path of the kubeconfig's server address to the path of each request
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    pub(super) append_server_path: bool,

    /// Regular expressions for accepted hosts
    #[arg(
        long,
        value_name = "REGEXPS",
        default_value = r"^localhost$,^127\.0\.0\.1$,^\[::1\]$"
    )]
    pub(super) accept_hosts: String,

    /// Regular expressions for accepted paths
    #[arg(long, value_name = "REGEXPS", default_value = ACCEPT_EVERY_PATH)]
    pub(super) accept_paths: String,

    /// Regular expressions for rejected paths, even if they are accepted [default:
    /// ^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach]
    #[arg(long, value_name = "REGEXPS")]
    pub(super) reject_paths: Option<String>,

    /// Regular expressions for rejected methods
    #[arg(long, value_name = "REGEXPS", default_value = REJECT_NO_METHOD)]
    pub(super) reject_methods: String,

    /// Do not filter requests to the API by host, path and method; dangerous if web pages can reach the port
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    pub(super) disable_filter: bool,

    /// Directory of static files to serve as well
    #[arg(long, short = 'w', value_name = "DIR")]
    pub(super) www: Option<PathBuf>,

    /// Path prefix under which the static files are served
    #[arg(long, short = 'P', value_name = "PREFIX", default_value = "/static/")]
    pub(super) www_prefix: String,

    /// Interval of TCP keep-alive probes to the API server; 0 means the default
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse::duration)]
    pub(super) keepalive: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Origins")]
pub(super) struct OriginFlags {
    /// Give a target a port of its own, as PORT:TARGET such as 9090:svc/prometheus; may be repeated
    #[arg(long, value_name = "PORT:TARGET", value_parser = crate::cli::target_name::forward)]
    pub(super) forward: Vec<PortForward>,

    /// Open a target in the browser, such as svc/grafana, pod/web-0:8080 or svc/dex:https:5556
    #[arg(long, value_name = "TARGET", value_parser = crate::cli::target_name::target, conflicts_with = "unix_socket")]
    pub(super) open: Option<TargetName>,

    /// Require a one-time token from every browser
    #[arg(long)]
    pub(super) login: bool,

    /// Which proxy of the cluster to use for targets
    #[arg(
        long,
        value_name = "auto|throughway|built-in",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub(super) via: Via,

    /// API group of the cluster's Throughway, as its own --api-group
    #[arg(long, value_name = "NAME", default_value = "throughway.dev", value_parser = parse::api_group)]
    pub(super) api_group: String,

    /// Which machines can reach targets at their own origins and at forwarded ports
    #[arg(
        long,
        value_name = "loopback|everywhere",
        default_value = "loopback",
        hide_possible_values = true
    )]
    pub(super) targets: TargetPeers,

    /// What happens to requests of other sites' pages to the API, and to pages of targets at the API's address
    ///
    /// refuse: requests of other sites get 403, and a page of a target is redirected to the target's own origin. allow:
    /// both are forwarded, as by kubectl proxy.
    #[arg(
        long,
        value_name = "refuse|allow",
        default_value = "refuse",
        hide_possible_values = true
    )]
    pub(super) cross_site: CrossSitePolicy,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is no KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

//! `throughway local`: its command line as typed, and the [`LocalConfig`] that is made of it.
//!
//! Names, short forms and defaults are those of `kubectl proxy` and of kubectl's own global flags wherever they have the flag.
//!
//! kubectl: `pkg/cmd/proxy/proxy.go`, and `pkg/genericclioptions/config_flags.go` of k8s.io/cli-runtime.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use regex::Regex;

use super::{NoCommand, parse};

/// The port of kubectl proxy.
const DEFAULT_PORT: u16 = 8001;

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
#[command(after_help = EXAMPLES)]
pub(super) struct Line {
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    proxy: ProxyFlags,
    #[command(flatten)]
    origins: OriginFlags,
    /// What is logged, as a filter such as info or throughway=debug
    #[arg(
        long,
        env = "THROUGHWAY_LOG",
        hide_env_values = true,
        // A list that may not be made is no news: the start page tries which it may.
        default_value = "warn,kube_runtime=error",
        value_name = "FILTER"
    )]
    log: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster (as kubectl's global flags)")]
struct ClusterFlags {
    /// The kubeconfig [default: KUBECONFIG, or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The kubeconfig's context
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// The kubeconfig's cluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// The kubeconfig's user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// The namespace of targets that are named without one [default: the context's]
    #[arg(long, short = 'n', value_name = "NAME")]
    namespace: Option<String>,

    /// Address of the API server
    #[arg(long, short = 's', value_name = "URL")]
    server: Option<String>,

    /// Bearer token
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// User name for basic authentication
    #[arg(long, value_name = "NAME")]
    username: Option<String>,

    /// Password for basic authentication
    #[arg(long, value_name = "PASSWORD")]
    password: Option<String>,

    /// Client certificate, PEM
    #[arg(long, value_name = "FILE")]
    client_certificate: Option<PathBuf>,

    /// Key of the client certificate, PEM
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,

    /// Roots for the API server's certificate, PEM
    #[arg(long, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,

    /// The name that the API server's certificate is checked for
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,

    /// Accept any certificate of the API server
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    insecure_skip_tls_verify: Option<bool>,

    /// The user to impersonate
    #[arg(long = "as", value_name = "NAME")]
    impersonate: Option<String>,

    /// A group to impersonate; may be given several times
    #[arg(long = "as-group", value_name = "GROUP")]
    impersonate_groups: Vec<String>,

    /// The UID to impersonate
    #[arg(long = "as-uid", value_name = "UID")]
    impersonate_uid: Option<String>,

    /// An extra fact to impersonate, as KEY=VALUE; may be given several times
    #[arg(long = "as-user-extra", value_name = "KEY=VALUE", value_parser = key_and_value)]
    impersonate_extra: Vec<(String, String)>,

    /// How long the head of an answer may take; 0 is no limit
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse::duration_or_seconds)]
    request_timeout: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Proxy (as kubectl proxy's flags)")]
struct ProxyFlags {
    /// The port to listen on; 0 takes a free one
    #[arg(long, short = 'p', value_name = "PORT", default_value_t = DEFAULT_PORT)]
    port: u16,

    /// The address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    address: IpAddr,

    /// A Unix socket to listen on instead
    #[arg(long, short = 'u', value_name = "FILE")]
    unix_socket: Option<PathBuf>,

    /// The prefix that the API is served below
    #[arg(long, value_name = "PREFIX", default_value = "/")]
    api_prefix: String,

    /// Put the path of the kubeconfig's server address before each request's
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    append_server_path: bool,

    /// Regular expressions for hosts that are accepted
    #[arg(
        long,
        value_name = "REGEXPS",
        default_value = r"^localhost$,^127\.0\.0\.1$,^\[::1\]$"
    )]
    accept_hosts: String,

    /// Regular expressions for paths that are accepted
    #[arg(long, value_name = "REGEXPS", default_value = "^.*")]
    accept_paths: String,

    /// Regular expressions for paths that are refused, even if they are accepted
    #[arg(
        long,
        value_name = "REGEXPS",
        default_value = "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach"
    )]
    reject_paths: String,

    /// Regular expressions for methods that are refused
    #[arg(long, value_name = "REGEXPS", default_value = "^$")]
    reject_methods: String,

    /// Refuse nothing of the API; dangerous on a port that pages of a browser can reach
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    disable_filter: bool,

    /// A directory of static files to serve as well
    #[arg(long, short = 'w', value_name = "DIR")]
    www: Option<PathBuf>,

    /// The prefix that the static files are served below
    #[arg(long, short = 'P', value_name = "PREFIX", default_value = "/static/")]
    www_prefix: String,

    /// The period of TCP keep-alives towards the API server; 0 is the usual one
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse::duration)]
    keepalive: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Origins")]
struct OriginFlags {
    /// A target at a port of its own, as PORT:TARGET such as 9090:svc/prometheus; may be given several times
    #[arg(long, value_name = "PORT:TARGET", value_parser = super::target_name::forward)]
    forward: Vec<PortForward>,

    /// Open a target in the browser, such as svc/grafana, pod/web-0:8080 or svc/dex:https:5556
    #[arg(long, value_name = "TARGET", value_parser = super::target_name::target, conflicts_with = "unix_socket")]
    open: Option<TargetName>,

    /// Ask every browser for a one-time token first
    #[arg(long)]
    login: bool,

    /// Which proxy of the cluster is used for targets
    #[arg(
        long,
        value_name = "auto|throughway|built-in",
        default_value = "auto",
        hide_possible_values = true
    )]
    via: Via,

    /// What becomes of requests to the API that a page of another site makes
    #[arg(
        long,
        value_name = "refuse|allow",
        default_value = "refuse",
        hide_possible_values = true
    )]
    cross_site: CrossSite,
}

/// Everything that `throughway local` was told.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    pub cluster: ClusterOptions,
    pub listen: LocalListen,
    pub api: LocalApi,
    /// `--www` and `--www-prefix`; the prefix begins and ends with a slash.
    pub files: Option<StaticFiles>,
    pub forwards: Vec<PortForward>,
    pub open: Option<TargetName>,
    pub login: Login,
    pub via: Via,
    /// A `tracing` filter.
    pub log: String,
}

/// Which cluster, as whom: kubectl's global flags. What is `None` or empty comes from the kubeconfig.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
    pub cluster: Option<String>,
    pub user: Option<String>,
    pub namespace: Option<String>,
    pub server: Option<String>,
    pub token: Option<Secret>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub client_certificate: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub certificate_authority: Option<PathBuf>,
    pub tls_server_name: Option<String>,
    pub insecure_skip_tls_verify: Option<bool>,
    pub impersonate: Option<String>,
    pub impersonate_groups: Vec<String>,
    pub impersonate_uid: Option<String>,
    pub impersonate_extra: Vec<(String, String)>,
    /// `--request-timeout`: until the head of an answer; zero is no limit.
    pub request_timeout: Duration,
    /// `--keepalive`: zero is the usual period.
    pub keepalive: Duration,
}

/// A text that is never printed.
pub type Secret = secrecy::SecretString;

/// Where the companion listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalListen {
    Tcp { address: IpAddr, port: u16 },
    Unix(PathBuf),
}

/// How the API is served.
#[derive(Debug, Clone)]
pub struct LocalApi {
    /// `--api-prefix`; ends with a slash.
    pub prefix: String,
    pub server_path: ServerPath,
    pub filter: Filtering,
    pub cross_site: CrossSite,
}

/// What becomes of the path in the kubeconfig's server address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerPath {
    Ignored,
    /// `--append-server-path`.
    Appended,
}

/// kubectl's rules for requests to the API.
#[derive(Debug, Clone)]
pub enum Filtering {
    Rules(FilterRules),
    /// `--disable-filter`.
    Off,
}

/// `--accept-*` and `--reject-*`. A rule without expressions matches nothing.
#[derive(Debug, Clone, Default)]
pub struct FilterRules {
    pub accept_hosts: Vec<Regex>,
    pub accept_paths: Vec<Regex>,
    pub reject_paths: Vec<Regex>,
    pub reject_methods: Vec<Regex>,
}

/// What becomes of requests to the API that a page of another site makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CrossSite {
    Refuse,
    /// As kubectl proxy does.
    Allow,
}

/// A directory that is served below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticFiles {
    pub directory: PathBuf,
    pub prefix: String,
}

/// A target at a port of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortForward {
    /// 0 takes a free one.
    pub port: u16,
    pub target: TargetName,
}

/// A target as `--open` and `--forward` name it: `svc/NAME[:PORT]`, `pod/NAME[:PORT]`, `node/NAME[:PORT]`, with `https:` before the
/// port for a target that speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetName {
    pub kind: TargetKind,
    pub name: String,
    /// A number or a name.
    pub port: Option<String>,
    pub scheme: Option<TargetScheme>,
}

/// What has a `proxy` subresource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetKind {
    Service,
    Pod,
    Node,
}

/// What a target speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetScheme {
    Http,
    Https,
}

/// Whether browsers have to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    NotAsked,
    /// `--login`.
    OneTimeToken,
}

/// Which proxy of the cluster is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Via {
    /// Throughway where it is installed, the built-in proxy elsewhere.
    Auto,
    Throughway,
    BuiltIn,
}

/// Checks a command line.
pub(super) fn check(line: Line) -> Result<LocalConfig, NoCommand> {
    let Line {
        cluster,
        proxy,
        origins,
        log,
    } = line;
    if proxy.unix_socket.is_some() && proxy.port != DEFAULT_PORT {
        let sentence = "cannot set --unix-socket and --port at the same time";
        return Err(NoCommand::Wrong(sentence.to_owned()));
    }
    let api = api(&proxy, origins.cross_site)?;
    Ok(LocalConfig {
        cluster: options(cluster, proxy.keepalive),
        api,
        listen: match proxy.unix_socket {
            Some(path) => LocalListen::Unix(path),
            None => LocalListen::Tcp {
                address: proxy.address,
                port: proxy.port,
            },
        },
        files: proxy.www.map(|directory| StaticFiles {
            directory,
            prefix: ending_in_slash(proxy.www_prefix),
        }),
        forwards: origins.forward,
        open: origins.open,
        login: if origins.login {
            Login::OneTimeToken
        } else {
            Login::NotAsked
        },
        via: origins.via,
        log,
    })
}

fn options(flags: ClusterFlags, keepalive: Duration) -> ClusterOptions {
    ClusterOptions {
        kubeconfig: flags.kubeconfig,
        context: flags.context,
        cluster: flags.cluster,
        user: flags.user,
        namespace: flags.namespace,
        server: flags.server,
        token: flags.token.map(Secret::from),
        username: flags.username,
        password: flags.password.map(Secret::from),
        client_certificate: flags.client_certificate,
        client_key: flags.client_key,
        certificate_authority: flags.certificate_authority,
        tls_server_name: flags.tls_server_name,
        insecure_skip_tls_verify: flags.insecure_skip_tls_verify,
        impersonate: flags.impersonate,
        impersonate_groups: flags.impersonate_groups,
        impersonate_uid: flags.impersonate_uid,
        impersonate_extra: flags.impersonate_extra,
        request_timeout: flags.request_timeout,
        keepalive,
    }
}

fn api(proxy: &ProxyFlags, cross_site: CrossSite) -> Result<LocalApi, NoCommand> {
    let filter = if proxy.disable_filter {
        Filtering::Off
    } else {
        Filtering::Rules(FilterRules {
            accept_hosts: expressions("--accept-hosts", &proxy.accept_hosts)?,
            accept_paths: expressions("--accept-paths", &proxy.accept_paths)?,
            reject_paths: expressions("--reject-paths", &proxy.reject_paths)?,
            reject_methods: expressions("--reject-methods", &proxy.reject_methods)?,
        })
    };
    Ok(LocalApi {
        prefix: ending_in_slash(proxy.api_prefix.clone()),
        server_path: if proxy.append_server_path {
            ServerPath::Appended
        } else {
            ServerPath::Ignored
        },
        filter,
        cross_site,
    })
}

/// kubectl's `MakeRegexpArray`: divided by commas, wherever they stand.
fn expressions(flag: &str, text: &str) -> Result<Vec<Regex>, NoCommand> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let compiled = text.split(',').map(|expression| {
        Regex::new(expression).map_err(|_| {
            NoCommand::Wrong(format!(
                "{flag}: {expression:?} is no regular expression (expressions are divided by commas)"
            ))
        })
    });
    compiled.collect()
}

fn ending_in_slash(mut prefix: String) -> String {
    if !prefix.ends_with('/') {
        prefix.push('/');
    }
    prefix
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is no KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

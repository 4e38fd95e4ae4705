//! The configuration of `throughway local`: typed and checked, before anything is opened.
//!
//! [`crate::cli`] makes it from the command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;

use crate::protocol::fetch_metadata::CrossSitePolicy;

/// Everything that `throughway local` was told.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    pub cluster: ClusterOptions,
    pub listen: LocalListen,
    pub api: LocalApi,
    /// `--www` and `--www-prefix`; the prefix begins and ends with a slash.
    pub files: Option<StaticFiles>,
    pub targets: LocalTargets,
    pub forwards: Vec<PortForward>,
    pub open: Option<TargetName>,
    pub login: BrowserLogin,
    pub via: Via,
    /// `--api-group`: that of the cluster's Throughway.
    pub api_group: String,
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
    /// `--request-timeout`: until the head of a response; zero is no limit.
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
    pub cross_site: CrossSitePolicy,
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

/// Who may ask targets for what, at origins of their own.
#[derive(Debug, Clone)]
pub struct LocalTargets {
    pub peers: TargetPeers,
    /// `--accept-paths`, `--reject-paths` and `--reject-methods` as far as they were given, about the path that a
    /// target has in `/api/v1`. The default of `--reject-paths` is none of them: a target's own paths may look like it.
    pub rules: Filtering,
}

/// From where connections to targets may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TargetPeers {
    /// This machine.
    Loopback,
    Everywhere,
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

/// A target as `--open` and `--forward` name it: `svc/NAME[:PORT]`, `pod/NAME[:PORT]`, `node/NAME[:PORT]`, with
/// `https:` before the port for a target that speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetName {
    pub kind: TargetKind,
    /// `svc/NAME.NAMESPACE`; otherwise that of `--namespace`.
    pub namespace: Option<String>,
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
pub enum BrowserLogin {
    NotRequired,
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

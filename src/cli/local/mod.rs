//! What `throughway local` was told: a [`LocalConfig`], made of the command line in `args`.

mod args;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;

use super::{NoCommand, go_expression};
use args::{
    ACCEPT_EVERY_PATH, ClusterFlags, DEFAULT_PORT, ProxyFlags, REJECT_NO_METHOD, REJECT_PATHS,
};

pub(super) use args::Line;

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

/// What becomes of requests that a page of another site makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CrossSite {
    Refuse,
    /// As kubectl proxy and the built-in proxy do.
    Allow,
}

/// Who may ask targets for what, at origins of their own.
#[derive(Debug, Clone)]
pub struct LocalTargets {
    pub peers: TargetPeers,
    /// `--accept-paths`, `--reject-paths` and `--reject-methods` as far as they were given, about the path that a target has
    /// in `/api/v1`. The default of `--reject-paths` is none of them: a target's own paths may look like it.
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

/// A target as `--open` and `--forward` name it: `svc/NAME[:PORT]`, `pod/NAME[:PORT]`, `node/NAME[:PORT]`, with `https:` before the
/// port for a target that speaks TLS.
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
    if tracing_subscriber::EnvFilter::try_new(&log).is_err() {
        let sentence = "--log: no filter such as info or throughway=debug";
        return Err(NoCommand::Wrong(sentence.to_owned()));
    }
    let api = api(&proxy, origins.cross_site)?;
    let targets = LocalTargets {
        peers: origins.targets,
        rules: target_rules(&proxy)?,
    };
    if proxy.www.is_some() && ending_in_slash(proxy.www_prefix.clone()) == api.prefix {
        let sentence = "--www-prefix and --api-prefix have to differ";
        return Err(NoCommand::Wrong(sentence.to_owned()));
    }
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
        targets,
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
        // An empty one is none, as for kubectl.
        namespace: flags.namespace.filter(|name| !name.is_empty()),
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
            reject_paths: expressions(
                "--reject-paths",
                proxy.reject_paths.as_deref().unwrap_or(REJECT_PATHS),
            )?,
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

/// The rules that were given; none if nothing was, so that nothing is matched for a request.
fn target_rules(proxy: &ProxyFlags) -> Result<Filtering, NoCommand> {
    let is_usual = proxy.accept_paths == ACCEPT_EVERY_PATH
        && proxy.reject_paths.is_none()
        && proxy.reject_methods == REJECT_NO_METHOD;
    if proxy.disable_filter || is_usual {
        return Ok(Filtering::Off);
    }
    let rejected = proxy.reject_paths.as_deref().unwrap_or_default();
    Ok(Filtering::Rules(FilterRules {
        accept_hosts: Vec::new(),
        accept_paths: expressions("--accept-paths", &proxy.accept_paths)?,
        reject_paths: expressions("--reject-paths", rejected)?,
        reject_methods: expressions("--reject-methods", &proxy.reject_methods)?,
    }))
}

/// kubectl's `MakeRegexpArray`: divided by commas, wherever they stand.
fn expressions(flag: &str, text: &str) -> Result<Vec<Regex>, NoCommand> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let compiled = text.split(',').map(|expression| {
        go_expression::compile(expression).map_err(|_| {
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

//! From the flags of `throughway local` to its [`LocalConfig`], which may be relied on.

pub(super) mod args;

use std::time::Duration;

use regex::Regex;

use super::{Exit, go_regexp};
use crate::local::config::{
    BrowserLogin, ClusterOptions, FilterRules, Filtering, LocalApi, LocalConfig, LocalListen,
    LocalTargets, Secret, ServerPath, StaticFiles,
};
use crate::protocol::fetch_metadata::CrossSitePolicy;
use args::{
    ACCEPT_EVERY_PATH, ClusterFlags, DEFAULT_PORT, ProxyFlags, REJECT_NO_METHOD, REJECT_PATHS,
};

/// Checks a command line.
pub(super) fn check(line: args::Local) -> Result<LocalConfig, Exit> {
    let args::Local {
        cluster,
        proxy,
        origins,
        log,
    } = line;
    // kubectl compares with the default as well, so a default that is typed passes there and here.
    if proxy.unix_socket.is_some() && proxy.port != DEFAULT_PORT {
        let sentence = "cannot set --unix-socket and --port at the same time";
        return Err(Exit::Usage(sentence.to_owned()));
    }
    if tracing_subscriber::EnvFilter::try_new(&log).is_err() {
        let sentence = "--log: no filter such as info or throughway=debug";
        return Err(Exit::Usage(sentence.to_owned()));
    }
    let api = api(&proxy, origins.cross_site)?;
    let targets = LocalTargets {
        peers: origins.targets,
        rules: target_rules(&proxy)?,
    };
    // With the slash that is put behind both, as /x and /x/ are the same place.
    if proxy.www.is_some() && ending_in_slash(proxy.www_prefix.clone()) == api.prefix {
        let sentence = "--www-prefix and --api-prefix have to differ";
        return Err(Exit::Usage(sentence.to_owned()));
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
            BrowserLogin::OneTimeToken
        } else {
            BrowserLogin::NotRequired
        },
        via: origins.via,
        api_group: origins.api_group,
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

fn api(proxy: &ProxyFlags, cross_site: CrossSitePolicy) -> Result<LocalApi, Exit> {
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
fn target_rules(proxy: &ProxyFlags) -> Result<Filtering, Exit> {
    // kubectl's defaults speak of paths of the API; a target's own paths begin where an app likes.
    let is_usual = proxy.accept_paths == ACCEPT_EVERY_PATH
        && proxy.reject_paths.is_none()
        && proxy.reject_methods == REJECT_NO_METHOD;
    if proxy.disable_filter || is_usual {
        return Ok(Filtering::Off);
    }
    // Without the default: it rejects exec and attach, which mean nothing in an app.
    let rejected = proxy.reject_paths.as_deref().unwrap_or_default();
    Ok(Filtering::Rules(FilterRules {
        accept_hosts: Vec::new(),
        accept_paths: expressions("--accept-paths", &proxy.accept_paths)?,
        reject_paths: expressions("--reject-paths", rejected)?,
        reject_methods: expressions("--reject-methods", &proxy.reject_methods)?,
    }))
}

/// kubectl's `MakeRegexpArray`: divided by commas, wherever they stand.
fn expressions(flag: &str, text: &str) -> Result<Vec<Regex>, Exit> {
    // Or it would be one empty expression, which matches everything.
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let compiled = text.split(',').map(|expression| {
        go_regexp::compile(expression).map_err(|_| {
            Exit::Usage(format!(
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

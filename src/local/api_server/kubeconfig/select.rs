//! Which entries of a kubeconfig count, with the flags on top. In: a kubeconfig and flags. Out: [`SelectedContext`],
//! one context, cluster and user.
//!
//! An entry that a flag names has to be there; so has the current context. A context's cluster and user may be missing,
//! and are empty then.
//!
//! client-go: `getContext`, `getCluster` and `getAuthInfo` in `tools/clientcmd/client_config.go`.

use std::path::PathBuf;

use kube::config::{AuthInfo, Cluster, Context, Kubeconfig};

use super::non_empty::{secret, text};
use crate::local::api_server::error::ConfigError;
use crate::local::config::ClusterOptions;

/// A kubeconfig's context, cluster and user, with the flags on top.
pub(in crate::local::api_server) struct SelectedContext {
    pub(in crate::local::api_server) context_name: Option<String>,
    pub(in crate::local::api_server) context: Context,
    pub(in crate::local::api_server) cluster: Cluster,
    pub(in crate::local::api_server) user: AuthInfo,
}

impl SelectedContext {
    pub(in crate::local::api_server) fn of(
        kubeconfig: &Kubeconfig,
        options: &ClusterOptions,
    ) -> Result<Self, ConfigError> {
        let context_name =
            text(options.context.as_ref()).or_else(|| text(kubeconfig.current_context.as_ref()));
        let mut context = match &context_name {
            None => Context::default(),
            Some(name) => context(kubeconfig, name)?,
        };
        // On top of the context, so that one can be used with another cluster or user for once.
        if let Some(name) = text(options.cluster.as_ref()) {
            context.cluster = name;
        }
        if let Some(name) = text(options.user.as_ref()) {
            context.user = Some(name);
        }
        let mut cluster = cluster(kubeconfig, &context, options)?;
        override_cluster(&mut cluster, options);
        let mut user = user(kubeconfig, &context, options)?;
        override_user(&mut user, options);
        Ok(Self {
            context_name,
            context,
            cluster,
            user,
        })
    }
}

fn context(kubeconfig: &Kubeconfig, name: &str) -> Result<Context, ConfigError> {
    let mut all = kubeconfig.contexts.iter();
    let Some(named) = all.find(|known| known.name == name) else {
        return Err(ConfigError::NoContext {
            name: name.to_owned(),
            known: names(kubeconfig.contexts.iter().map(|known| &known.name)),
        });
    };
    Ok(named.context.clone().unwrap_or_default())
}

fn cluster(
    kubeconfig: &Kubeconfig,
    context: &Context,
    options: &ClusterOptions,
) -> Result<Cluster, ConfigError> {
    let mut all = kubeconfig.clusters.iter();
    match all.find(|known| known.name == context.cluster) {
        Some(named) => Ok(named.cluster.clone().unwrap_or_default()),
        // Without a flag a missing entry is an empty one; who names one means it.
        None if text(options.cluster.as_ref()).is_none() => Ok(Cluster::default()),
        None => Err(ConfigError::NoCluster {
            name: context.cluster.clone(),
            known: names(kubeconfig.clusters.iter().map(|known| &known.name)),
        }),
    }
}

fn user(
    kubeconfig: &Kubeconfig,
    context: &Context,
    options: &ClusterOptions,
) -> Result<AuthInfo, ConfigError> {
    let mut all = kubeconfig.auth_infos.iter();
    match all.find(|known| Some(&known.name) == context.user.as_ref()) {
        Some(named) => Ok(named.auth_info.clone().unwrap_or_default()),
        None if text(options.user.as_ref()).is_none() => Ok(AuthInfo::default()),
        None => Err(ConfigError::NoUser {
            name: context.user.clone().unwrap_or_default(),
            known: names(kubeconfig.auth_infos.iter().map(|known| &known.name)),
        }),
    }
}

fn names<'a>(known: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<String> = known.cloned().collect();
    names.sort();
    names
}

fn override_cluster(cluster: &mut Cluster, options: &ClusterOptions) {
    let certificate_authority = path_text(options.certificate_authority.as_ref());
    // Both flags replace all ways to trust, as a certificate beside `insecure` would be refused.
    if options.insecure_skip_tls_verify == Some(true) || certificate_authority.is_some() {
        cluster.insecure_skip_tls_verify = options.insecure_skip_tls_verify;
        cluster.certificate_authority = certificate_authority;
        cluster.certificate_authority_data = None;
    }
    let server = text(options.server.as_ref());
    let tls_server_name = text(options.tls_server_name.as_ref());
    // A server of its own is not the one that the kubeconfig's name was for.
    if server.is_some() || tls_server_name.is_some() {
        cluster.tls_server_name = tls_server_name;
    }
    if server.is_some() {
        cluster.server = server;
    }
}

fn override_user(user: &mut AuthInfo, options: &ClusterOptions) {
    if let Some(certificate) = path_text(options.client_certificate.as_ref()) {
        user.client_certificate = Some(certificate);
        user.client_certificate_data = None;
    }
    if let Some(key) = path_text(options.client_key.as_ref()) {
        user.client_key = Some(key);
        user.client_key_data = None;
    }
    if secret(options.token.as_ref()).is_some() {
        user.token.clone_from(&options.token);
        // Or the kubeconfig's file would win over what was just typed.
        user.token_file = None;
    }
    if let Some(username) = text(options.username.as_ref()) {
        user.username = Some(username);
    }
    if secret(options.password.as_ref()).is_some() {
        user.password.clone_from(&options.password);
    }
    if let Some(name) = text(options.impersonate.as_ref()) {
        user.impersonate = Some(name);
    }
    if let Some(uid) = text(options.impersonate_uid.as_ref()) {
        user.impersonate_uid = Some(uid);
    }
    if !options.impersonate_groups.is_empty() {
        user.impersonate_groups = Some(options.impersonate_groups.clone());
    }
    if !options.impersonate_extra.is_empty() {
        let extra = user.impersonate_user_extra.get_or_insert_default();
        // All of a key first: a flag that is given twice adds values, and does not add to those of the kubeconfig.
        for (key, _) in &options.impersonate_extra {
            extra.remove(key);
        }
        for (key, value) in &options.impersonate_extra {
            extra.entry(key.clone()).or_default().push(value.clone());
        }
    }
}

fn path_text(value: Option<&PathBuf>) -> Option<String> {
    value
        .filter(|path| !path.as_os_str().is_empty())
        .map(|path| path.to_string_lossy().into_owned())
}

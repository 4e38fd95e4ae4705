//! Which proxy, if any, is between here and the API server. In: the kubeconfig's proxy-url and the environment. Out: a
//! [`Proxy`].
//!
//! The kubeconfig's proxy-url is used for every server. Otherwise it is HTTPS_PROXY or HTTP_PROXY by the server's
//! scheme, except for what NO_PROXY lists, and never for `localhost` and loopback addresses. Schemes are http, https
//! and socks5; others are refused.
//!
//! client-go: `tools/clientcmd/helpers.go`; Go: golang.org/x/net/http/httpproxy.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::local::api_server::error::ConfigError;

/// A proxy, and how one logs in there.
#[derive(Clone)]
pub(in crate::local::api_server) struct Proxy {
    pub(in crate::local::api_server) kind: ProxyKind,
    /// Scheme, host and port, without credentials.
    pub(in crate::local::api_server) uri: Uri,
    pub(in crate::local::api_server) login: Intercept,
}

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local::api_server) enum ProxyKind {
    /// CONNECT, in the clear or over TLS.
    Tunnel,
    Socks5,
}

/// The environment as far as it is about proxies.
#[derive(Clone, Default)]
pub(in crate::local::api_server) struct ProxyEnvironment {
    pub(in crate::local::api_server) https_proxy: Option<String>,
    pub(in crate::local::api_server) http_proxy: Option<String>,
    pub(in crate::local::api_server) no_proxy: Option<String>,
}

impl ProxyEnvironment {
    pub(in crate::local::api_server) fn read() -> Self {
        let first = |names: [&str; 2]| {
            let set = names.iter().filter_map(|name| std::env::var(name).ok());
            set.into_iter().find(|value| !value.is_empty())
        };
        Self {
            https_proxy: first(["HTTPS_PROXY", "https_proxy"]),
            http_proxy: first(["HTTP_PROXY", "http_proxy"]),
            no_proxy: first(["NO_PROXY", "no_proxy"]),
        }
    }
}

impl Proxy {
    pub(in crate::local::api_server) fn of(
        server: &Uri,
        proxy_url: Option<&str>,
        environment: &ProxyEnvironment,
    ) -> Result<Option<Self>, ConfigError> {
        // Said for this server, so neither the environment nor `NO_PROXY` counts.
        if let Some(proxy_url) = proxy_url {
            let matcher = Matcher::builder().all(proxy_url.to_owned()).build();
            let login = matcher.intercept(server).ok_or(ConfigError::BadProxy)?;
            return Self::through(login).map(Some);
        }
        // Go never asks a proxy for the own machine (`httpproxy.Config.ProxyFunc`).
        if is_loopback(server) {
            return Ok(None);
        }
        let named = if server.scheme() == Some(&Scheme::HTTPS) {
            &environment.https_proxy
        } else {
            &environment.http_proxy
        };
        let Some(named) = named else { return Ok(None) };
        let matcher = Matcher::builder()
            .all(named.clone())
            .no(exceptions(environment.no_proxy.as_deref(), server))
            .build();
        // A proxy that can't be read would otherwise look like a server that is to be reached without one.
        if Matcher::builder()
            .all(named.clone())
            .build()
            .intercept(server)
            .is_none()
        {
            return Err(ConfigError::BadProxy);
        }
        matcher.intercept(server).map(Self::through).transpose()
    }

    fn through(login: Intercept) -> Result<Self, ConfigError> {
        let uri = login.uri().clone();
        let kind = match uri.scheme_str() {
            Some("http" | "https") => ProxyKind::Tunnel,
            Some("socks5" | "socks5h") => ProxyKind::Socks5,
            _ => return Err(ConfigError::BadProxy),
        };
        Ok(Self { kind, uri, login })
    }
}

/// NO_PROXY's entries without those that are for another port, which the matcher does not know.
fn exceptions(no_proxy: Option<&str>, server: &Uri) -> String {
    let port = port_of(server);
    let entries = no_proxy.unwrap_or_default().split(',').map(str::trim);
    let counting = entries.filter_map(|entry| {
        let Some((host, entry_port)) = entry.rsplit_once(':') else {
            return Some(entry);
        };
        // A colon is also in addresses and in their masks.
        let is_address = entry.parse::<IpAddr>().is_ok() || entry.contains('/');
        match entry_port.parse::<u16>() {
            Ok(entry_port) if !is_address => (entry_port == port).then_some(host),
            _ => Some(entry),
        }
    });
    counting.collect::<Vec<_>>().join(",")
}

/// The port of an address, or its scheme's.
pub(in crate::local::api_server) fn port_of(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("http") => 80,
        Some("socks5" | "socks5h") => 1080,
        _ => 443,
    })
}

/// The host of an address, without the brackets of IPv6.
pub(in crate::local::api_server) fn host_of(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

fn is_loopback(uri: &Uri) -> bool {
    let host = host_of(uri);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

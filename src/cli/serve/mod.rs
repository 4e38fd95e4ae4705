//! From the flags of `throughway serve` to its [`Config`], which may be relied on.

pub(super) mod args;

use std::net::SocketAddr;
use std::time::Duration;

use super::Exit;
use crate::serve::config::{
    AnonymousAuth, ApiGroup, AuthenticationConfig, AuthenticationLookup, AuthorizationConfig,
    ClusterConfig, Config, ConnectionLimits, CookieNames, ForwardConfig, Http2Serving,
    KubeletConfig, KubeletCredential, KubeletTls, ListenConfig, Loopback, RequestHeaderConfig,
    RequestHeaderNames, RewriteConfig, ServingCertificate, ShutdownConfig, TargetConfig,
};

pub(super) fn check(serve: args::Serve) -> Result<Config, Exit> {
    // Before anything is moved out of the line, so that all of it can be looked at.
    refuse_what_can_not_work(&serve)?;
    Ok(Config {
        group: ApiGroup {
            name: serve.cluster.api_group.into(),
            version: "v1",
        },
        cluster: ClusterConfig {
            kubeconfig: serve.cluster.kubeconfig,
        },
        listen: listen(serve.serving, serve.backends.exchange_idle_timeout),
        authentication: authentication(serve.authentication),
        authorization: AuthorizationConfig {
            allowed_lifetime: serve
                .authorization
                .authorization_webhook_cache_authorized_ttl,
            denied_lifetime: serve
                .authorization
                .authorization_webhook_cache_unauthorized_ttl,
        },
        kubelet: kubelet(&serve.targets),
        target: TargetConfig {
            denied_networks: serve.targets.deny_networks,
            node_ports: serve.targets.node_ports,
            loopback: Loopback::Refused,
            isolation: serve.browsers.isolation,
        },
        forward: forward(&serve.backends, &serve.browsers),
        rewrite: RewriteConfig {
            links: serve.browsers.links,
            never_forward_cookies: cookie_names(&serve.browsers),
            page_memory: serve.browsers.page_memory,
            page_limit: serve.browsers.page_limit,
        },
        shutdown: ShutdownConfig {
            delay: serve.shutdown.shutdown_delay_duration,
            grace: serve.shutdown.shutdown_grace_duration,
        },
        log: serve.logs.log,
        access_log: serve.logs.access_log,
    })
}

fn refuse_what_can_not_work(serve: &args::Serve) -> Result<(), Exit> {
    let wrong = |flag: &str, why: &str| Err(Exit::Usage(format!("--{flag}: {why}")));
    if serve.serving.http2_max_streams_per_connection == 0 {
        return wrong("http2-max-streams-per-connection", "at least 1");
    }
    if serve.serving.max_connections == 0 {
        return wrong("max-connections", "at least 1");
    }
    if serve.serving.max_connections_per_address == 0 {
        return wrong("max-connections-per-address", "at least 1");
    }
    if !(16 << 10..=1 << 20).contains(&serve.serving.max_header_list_bytes) {
        return wrong("max-header-list-bytes", "between 16384 and 1048576");
    }
    if serve.backends.backend_connect_timeout.is_zero() {
        return wrong(
            "backend-connect-timeout",
            "a connect without a limit is not offered",
        );
    }
    if serve.backends.backend_tls_handshake_timeout.is_zero() {
        return wrong(
            "backend-tls-handshake-timeout",
            "a handshake without a limit is not offered",
        );
    }
    refuse_kubelets_without_credential(&serve.targets)?;
    if tracing_subscriber::EnvFilter::try_new(&serve.logs.log).is_err() {
        return wrong("log", "no filter such as info or throughway=debug");
    }
    for (flag, names) in [
        (
            "requestheader-username-headers",
            &serve.authentication.requestheader_username_headers,
        ),
        (
            "requestheader-uid-headers",
            &serve.authentication.requestheader_uid_headers,
        ),
        (
            "requestheader-group-headers",
            &serve.authentication.requestheader_group_headers,
        ),
        (
            "requestheader-extra-headers-prefix",
            &serve.authentication.requestheader_extra_headers_prefix,
        ),
    ] {
        if names
            .iter()
            .any(|name| http::HeaderName::try_from(name.as_str()).is_err())
        {
            return wrong(flag, "not the name of a header");
        }
    }
    Ok(())
}

/// Whoever stands before a kubelet that is not verified gets what it is shown, so that is never left to a default.
fn refuse_kubelets_without_credential(targets: &args::TargetArgs) -> Result<(), Exit> {
    let has_credential =
        targets.kubelet_service_account.is_some() || targets.kubelet_token_file.is_some();
    if targets.kubelet_insecure_tls && !has_credential {
        return Err(Exit::Usage(
            "--kubelet-insecure-tls: needs --kubelet-service-account or --kubelet-token-file"
                .to_owned(),
        ));
    }
    Ok(())
}

fn listen(serving: args::ServingArgs, exchange_idle_timeout: Duration) -> ListenConfig {
    let certificate = match (
        // Which of them may stand together is clap's to refuse, so the order here decides nothing.
        serving.tls_cert_file,
        serving.tls_private_key_file,
        serving.serving_secret,
        serving.serving_service,
    ) {
        (Some(certificate), Some(key), _, _) => ServingCertificate::Files { certificate, key },
        (_, _, Some(secret), Some(service)) => ServingCertificate::Secret { secret, service },
        _ => ServingCertificate::SelfSigned,
    };
    ListenConfig {
        address: SocketAddr::new(serving.bind_address, serving.secure_port),
        certificate,
        http2: if serving.disable_http2_serving {
            Http2Serving::Disabled
        } else {
            Http2Serving::Enabled
        },
        limits: ConnectionLimits {
            max_streams: serving.http2_max_streams_per_connection,
            max_header_bytes: serving.max_header_list_bytes,
            exchange_idle_timeout,
            max_connections: serving.max_connections,
            max_connections_per_address: serving.max_connections_per_address,
            max_requests_in_flight: serving.max_requests_inflight,
            ..ConnectionLimits::kubernetes()
        },
    }
}

fn authentication(flags: args::AuthenticationArgs) -> AuthenticationConfig {
    let names = RequestHeaderNames {
        allowed_names: flags.requestheader_allowed_names,
        username_headers: flags.requestheader_username_headers,
        uid_headers: flags.requestheader_uid_headers,
        group_headers: flags.requestheader_group_headers,
        extra_header_prefixes: flags.requestheader_extra_headers_prefix,
    };
    AuthenticationConfig {
        client_ca_file: flags.client_ca_file,
        request_header: flags.requestheader_client_ca_file.map(|client_ca_file| {
            RequestHeaderConfig {
                client_ca_file,
                names,
            }
        }),
        lookup: match (
            flags.authentication_skip_lookup,
            flags.authentication_tolerate_lookup_failure,
        ) {
            (true, _) => AuthenticationLookup::Skipped,
            (false, true) => AuthenticationLookup::Tolerated,
            (false, false) => AuthenticationLookup::Required,
        },
        anonymous: match flags.anonymous_auth {
            true => AnonymousAuth::Accepted,
            false => AnonymousAuth::Refused,
        },
        token_cache_lifetime: flags.authentication_token_webhook_cache_ttl,
        audiences: flags.api_audiences,
    }
}

fn kubelet(flags: &args::TargetArgs) -> KubeletConfig {
    let certificate_authority = flags.kubelet_certificate_authority.clone();
    KubeletConfig {
        tls: if flags.kubelet_insecure_tls {
            KubeletTls::AnyCertificate
        } else {
            KubeletTls::Verify {
                certificate_authority,
            }
        },
        credential: match (&flags.kubelet_service_account, &flags.kubelet_token_file) {
            (Some(account), _) => KubeletCredential::ServiceAccount(account.clone()),
            (None, Some(path)) => KubeletCredential::TokenFile(path.clone()),
            (None, None) => KubeletCredential::None,
        },
    }
}

fn cookie_names(browsers: &args::BrowserArgs) -> CookieNames {
    browsers.never_forward_cookies.iter().cloned().collect()
}

fn forward(flags: &args::BackendArgs, browsers: &args::BrowserArgs) -> ForwardConfig {
    ForwardConfig {
        connect_timeout: flags.backend_connect_timeout,
        tls_handshake_timeout: flags.backend_tls_handshake_timeout,
        response_header_timeout: flags.backend_response_header_timeout,
        exchange_idle_timeout: flags.exchange_idle_timeout,
        idle_connection_lifetime: flags.backend_idle_connection_timeout,
        max_idle_per_endpoint: flags.backend_max_idle_connections,
        tunnel_idle_timeout: flags.tunnel_idle_timeout,
        tunnel_authorization_interval: flags.tunnel_authorization_interval,
        max_tunnels: flags.max_tunnels,
        never_forward_cookies: cookie_names(browsers),
        external_origins: browsers.external_origin.clone(),
        cross_site: browsers.cross_site,
    }
}

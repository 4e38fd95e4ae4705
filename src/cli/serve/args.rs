//! `throughway serve`'s command line, as typed: one field a flag, in the groups that `--help` shows.
//!
//! Names and defaults are those of k8s.io/apiserver's options wherever it has the option.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;

use crate::cli::parse;
use crate::serve::config::NamespacedName;

#[derive(Debug, Args)]
pub(in crate::cli) struct Serve {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) serving: ServingArgs,
    #[command(flatten)]
    pub(super) authentication: AuthenticationArgs,
    #[command(flatten)]
    pub(super) authorization: AuthorizationArgs,
    #[command(flatten)]
    pub(super) targets: TargetArgs,
    #[command(flatten)]
    pub(super) backends: BackendArgs,
    #[command(flatten)]
    pub(super) browsers: BrowserArgs,
    #[command(flatten)]
    pub(super) shutdown: ShutdownArgs,
    #[command(flatten)]
    pub(super) logs: LogArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterArgs {
    /// Kubeconfig file for the API server [default: the pod's ServiceAccount]
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// API group to serve
    ///
    /// The APIService, the roles and the resourceNames of the manifests must name the same group.
    #[arg(long, value_name = "NAME", default_value = "throughway.dev", value_parser = parse::api_group)]
    pub(super) api_group: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Serving")]
pub(super) struct ServingArgs {
    /// IP address to listen on; :: includes IPv4
    #[arg(long, value_name = "IP", default_value = "::")]
    pub(super) bind_address: IpAddr,

    /// Port to listen on, always with TLS
    #[arg(long, value_name = "PORT", default_value_t = 443)]
    pub(super) secure_port: u16,

    /// Serving certificate with its intermediate certificates, PEM
    ///
    /// The file is read again when it changes. With a certificate of your own you keep caBundle of the APIService up to
    /// date yourself.
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    pub(super) tls_cert_file: Option<PathBuf>,

    /// Private key of --tls-cert-file, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    pub(super) tls_private_key_file: Option<PathBuf>,

    /// Secret in which the server creates and rotates its serving certificate
    ///
    /// All replicas share it. The server writes its CA into caBundle of the APIService.
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "serving_service",
          conflicts_with = "tls_cert_file", value_parser = parse::namespaced_name)]
    pub(super) serving_secret: Option<NamespacedName>,

    /// Service that the APIService names; the certificate in --serving-secret is issued for it
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "serving_secret",
          value_parser = parse::namespaced_name)]
    pub(super) serving_service: Option<NamespacedName>,

    /// Maximum number of concurrent requests on one HTTP/2 connection; unknown callers get at most 100
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) http2_max_streams_per_connection: u32,

    /// Maximum number of concurrent requests, without tunnels; 0 means no limit
    ///
    /// Requests of authenticated callers are counted; a request above the limit gets 429. One user gets at most a
    /// quarter of the limit, one namespace at most half. Members of system:masters get in when the limit is reached, up
    /// to a quarter more.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) max_requests_inflight: usize,

    /// Maximum number of open connections; unknown callers get at most three quarters of them
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub(super) max_connections: usize,

    /// Maximum number of connections of unknown callers from one IPv4 address or one IPv6 /64
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) max_connections_per_address: usize,

    /// Maximum size of all headers of a request from kube-apiserver, as HTTP/2 counts it
    ///
    /// Users in more than about 800 groups need more. Above 65535, one user's header can close the connection that all
    /// users share.
    #[arg(long, value_name = "BYTES", default_value_t = 65_535)]
    pub(super) max_header_list_bytes: u32,

    /// Serve HTTP/1.1 only
    #[arg(long)]
    pub(super) disable_http2_serving: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Authentication")]
pub(super) struct AuthenticationArgs {
    /// CA bundle for client certificates [default: the cluster's, from its ConfigMap]
    #[arg(long, value_name = "FILE")]
    pub(super) client_ca_file: Option<PathBuf>,

    /// CA bundle for the front proxy's client certificate [default: the cluster's, from its ConfigMap]
    ///
    /// The other --requestheader flags take effect only together with this one.
    #[arg(long, value_name = "FILE")]
    pub(super) requestheader_client_ca_file: Option<PathBuf>,

    /// Common names that the front proxy's certificate may have; an empty list allows all names [default: all]
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        requires = "requestheader_client_ca_file"
    )]
    pub(super) requestheader_allowed_names: Vec<String>,

    /// Request headers that carry the user's name
    #[arg(
        long,
        value_name = "HEADERS",
        value_delimiter = ',',
        default_value = "x-remote-user"
    )]
    pub(super) requestheader_username_headers: Vec<String>,

    /// Request headers that carry the user's UID; ignored unless set [default: none]
    #[arg(long, value_name = "HEADERS", value_delimiter = ',')]
    pub(super) requestheader_uid_headers: Vec<String>,

    /// Request headers that carry the user's groups
    #[arg(
        long,
        value_name = "HEADERS",
        value_delimiter = ',',
        default_value = "x-remote-group"
    )]
    pub(super) requestheader_group_headers: Vec<String>,

    /// Prefixes of request headers that carry the user's extra attributes
    #[arg(
        long,
        value_name = "PREFIXES",
        value_delimiter = ',',
        default_value = "x-remote-extra-"
    )]
    pub(super) requestheader_extra_headers_prefix: Vec<String>,

    /// Do not read the ConfigMap kube-system/extension-apiserver-authentication
    #[arg(long)]
    pub(super) authentication_skip_lookup: bool,

    /// Become ready even if that ConfigMap cannot be read
    #[arg(long, conflicts_with = "authentication_skip_lookup")]
    pub(super) authentication_tolerate_lookup_failure: bool,

    /// How long the result of a TokenReview is cached
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse::duration)]
    pub(super) authentication_token_webhook_cache_ttl: Duration,

    /// Treat direct callers without a credential as system:anonymous instead of refusing them
    ///
    /// Health endpoints respond to everybody in either case.
    #[arg(long, value_name = "BOOL", default_value_t = false, default_missing_value = "true", num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set)]
    pub(super) anonymous_auth: bool,

    /// Audiences of which a token must have at least one [default: the API server's]
    #[arg(long, value_name = "AUDIENCES", value_delimiter = ',')]
    pub(super) api_audiences: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Authorization")]
pub(super) struct AuthorizationArgs {
    /// How long an allowed SubjectAccessReview is cached
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse::duration)]
    pub(super) authorization_webhook_cache_authorized_ttl: Duration,

    /// How long a denied SubjectAccessReview is cached
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse::duration)]
    pub(super) authorization_webhook_cache_unauthorized_ttl: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Targets")]
pub(super) struct TargetArgs {
    /// Additional networks to which the server never connects
    ///
    /// Loopback, link-local, multicast and metadata addresses and the API server are always denied.
    #[arg(long, value_name = "CIDRS", value_delimiter = ',')]
    pub(super) deny_networks: Vec<IpNet>,

    /// Ports of nodes that may be reached besides the kubelet's, such as 9100 or 9100-9110 [default: none]
    #[arg(long, value_name = "PORTS", value_delimiter = ',', value_parser = parse::ports)]
    pub(super) node_ports: Vec<RangeInclusive<u16>>,

    /// CA bundle for the kubelets' serving certificates [default: the cluster's CA]
    #[arg(long, value_name = "FILE")]
    pub(super) kubelet_certificate_authority: Option<PathBuf>,

    /// Accept any kubelet certificate; an impostor of a kubelet can then collect tokens
    ///
    /// Requires --kubelet-service-account or --kubelet-token-file.
    #[arg(long, conflicts_with = "kubelet_certificate_authority")]
    pub(super) kubelet_insecure_tls: bool,

    /// ServiceAccount whose tokens are sent to kubelets; the server's own account is never used
    ///
    /// Each token is valid for ten minutes. Without this flag and --kubelet-token-file, requests to kubelets are
    /// refused. The manifests set this flag.
    #[arg(long, value_name = "NAMESPACE/NAME", conflicts_with = "kubelet_token_file",
          value_parser = parse::namespaced_name)]
    pub(super) kubelet_service_account: Option<NamespacedName>,

    /// File with a token for kubelets, instead of --kubelet-service-account
    ///
    /// A token of the server's own account is refused.
    #[arg(long, value_name = "FILE")]
    pub(super) kubelet_token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Backends")]
pub(super) struct BackendArgs {
    /// Timeout for a TCP connection to a backend
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse::duration)]
    pub(super) backend_connect_timeout: Duration,

    /// Timeout for a TLS handshake with a backend
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse::duration)]
    pub(super) backend_tls_handshake_timeout: Duration,

    /// Timeout from the end of a request to the headers of its response; 0 means no timeout
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse::duration)]
    pub(super) backend_response_header_timeout: Duration,

    /// Timeout for a request or tunnel in which one side does not read what is sent to it; 0 means no timeout
    ///
    /// Waiting for a side that has nothing to send does not count. The log names the side that did not read.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse::duration)]
    pub(super) exchange_idle_timeout: Duration,

    /// How long an idle connection to a backend is kept for the next request
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse::duration)]
    pub(super) backend_idle_connection_timeout: Duration,

    /// Maximum number of idle connections to one endpoint
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(super) backend_max_idle_connections: usize,

    /// Timeout for a tunnel without traffic; 0 means no timeout
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse::duration)]
    pub(super) tunnel_idle_timeout: Duration,

    /// How often the right to use an open tunnel is checked again; 0 means never
    ///
    /// The tunnel is closed when the caller has lost the right, or when the check has failed for 15 minutes. It is also
    /// closed when the caller's client certificate expires.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse::duration)]
    pub(super) tunnel_authorization_interval: Duration,

    /// Maximum number of concurrent tunnels
    ///
    /// A tunnel above the limit gets 429. One user gets at most a quarter of the limit, one namespace at most half.
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub(super) max_tunnels: usize,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Browsers")]
pub(super) struct BrowserArgs {
    /// How links are rewritten in pages: relative, or absolute like the built-in proxy
    #[arg(
        long,
        default_value = "relative",
        value_name = "relative|absolute",
        hide_possible_values = true
    )]
    pub(super) links: crate::serve::config::LinkStyle,

    /// Origins that users have in their address bar, such as https://HOST or http://localhost:8001
    ///
    /// Where the API is served below a path, add it, such as https://HOST/k8s/clusters/c-1. If this flag is set,
    /// only these origins and loopback are trusted.
    #[arg(long, value_name = "ORIGINS", value_delimiter = ',', value_parser = parse::origin)]
    pub(super) external_origin: Vec<crate::serve::config::ExternalOrigin>,

    /// What happens to requests that a page of another site makes with the user's credentials
    ///
    /// refuse: they get 403, unless they are links that open a page. allow: they are forwarded, as by the built-in
    /// proxy.
    #[arg(
        long,
        value_name = "refuse|allow",
        default_value = "refuse",
        hide_possible_values = true
    )]
    pub(super) cross_site: crate::protocol::fetch_metadata::CrossSitePolicy,

    /// Cookies that belong to other parts of the origin and are not sent to backends
    ///
    /// A * at the end matches any rest. If an app itself sets a cookie with such a name, that app gets it back.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = parse::FRONT_END_COOKIES
    )]
    pub(super) never_forward_cookies: Vec<String>,

    /// Whether a browser isolates the pages of every target from the rest of the origin
    ///
    /// sandbox: every page gets an origin that shares nothing. off: only pages of Services with the annotation
    /// throughway.dev/isolation: sandbox. Requests of isolated pages count as those of another site, so --cross-site
    /// then protects WebSockets only.
    #[arg(
        long,
        default_value = "off",
        value_name = "off|sandbox",
        hide_possible_values = true
    )]
    pub(super) isolation: crate::serve::config::IsolationDefault,

    /// Maximum memory in bytes to rewrite one page; above it, the rest of the page is not rewritten
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub(super) page_memory: usize,

    /// Maximum decoded size in bytes of a compressed page; above it, the page is cut off
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20)]
    pub(super) page_limit: u64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Shutdown")]
pub(super) struct ShutdownArgs {
    /// Time from SIGTERM until new connections are refused; readiness fails at once
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse::duration)]
    pub(super) shutdown_delay_duration: Duration,

    /// Time after that delay in which running requests and tunnels may finish
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse::duration)]
    pub(super) shutdown_grace_duration: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub(super) struct LogArgs {
    /// Filter of the log on standard error, such as info or throughway=debug
    #[arg(
        long,
        env = "THROUGHWAY_LOG",
        hide_env_values = true,
        default_value = "info",
        value_name = "FILTER"
    )]
    pub(super) log: String,

    /// Whether each request is logged as a JSON line on standard output
    #[arg(
        long,
        default_value = "on",
        value_name = "on|off",
        hide_possible_values = true
    )]
    pub(super) access_log: crate::serve::config::AccessLogMode,
}

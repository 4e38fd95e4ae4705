//! The command line, as typed: one field a flag, in the groups that `--help` shows.
//!
//! Names and defaults are those of k8s.io/apiserver's options wherever it has the option.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;

use super::{NamespacedName, parse};

/// The Kubernetes API server's proxy as a server of its own.
#[derive(Debug, Parser)]
#[command(name = "throughway", version, about, max_term_width = 100)]
pub(super) struct Line {
    #[command(subcommand)]
    pub(super) mode: Mode,
}

#[derive(Debug, Subcommand)]
pub(super) enum Mode {
    /// Serve the proxy subresources of nodes, pods and services behind the API aggregation layer
    Serve(Box<Serve>),
    /// All of kubectl proxy on your own machine, and an origin of its own for every Service
    Local(Box<super::local::Line>),
    /// Print a script that completes this command's words in a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) cluster: Cluster,
    #[command(flatten)]
    pub(super) serving: Serving,
    #[command(flatten)]
    pub(super) authentication: Authentication,
    #[command(flatten)]
    pub(super) authorization: Authorization,
    #[command(flatten)]
    pub(super) targets: Targets,
    #[command(flatten)]
    pub(super) backends: Backends,
    #[command(flatten)]
    pub(super) browsers: Browsers,
    #[command(flatten)]
    pub(super) shutdown: Shutdown,
    #[command(flatten)]
    pub(super) logs: Logs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct Cluster {
    /// A kubeconfig for the API server [default: the pod's own ServiceAccount]
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// The API group that is served
    #[arg(long, value_name = "NAME", default_value = "throughway.dev", value_parser = parse::api_group)]
    pub(super) api_group: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Serving")]
pub(super) struct Serving {
    /// The address to listen on
    #[arg(long, value_name = "IP", default_value = "::")]
    pub(super) bind_address: IpAddr,

    /// The port to listen on, always TLS
    #[arg(long, value_name = "PORT", default_value_t = 443)]
    pub(super) secure_port: u16,

    /// The serving certificate with its intermediates, PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    pub(super) tls_cert_file: Option<PathBuf>,

    /// The key of --tls-cert-file, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    pub(super) tls_private_key_file: Option<PathBuf>,

    /// Make and rotate the serving certificate in this Secret, which all replicas share
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "serving_service",
          conflicts_with = "tls_cert_file", value_parser = parse::namespaced_name)]
    pub(super) serving_secret: Option<NamespacedName>,

    /// The Service that the APIService names; the certificate in --serving-secret is made for it
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "serving_secret",
          value_parser = parse::namespaced_name)]
    pub(super) serving_service: Option<NamespacedName>,

    /// Requests at the same time on one HTTP/2 connection
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) http2_max_streams_per_connection: u32,

    /// Requests at the same time, tunnels not counted; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) max_requests_inflight: usize,

    /// Connections at the same time; unknown callers get three quarters of them
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub(super) max_connections: usize,

    /// Connections of unknown callers from one address, or from one /64 of IPv6
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(super) max_connections_per_address: usize,

    /// Bytes of all headers of a request, by HTTP/2's count, that kube-apiserver may send; users in more than about 800
    /// groups need more. Above 65535 one user's header can end the connection that all share
    #[arg(long, value_name = "BYTES", default_value_t = 65_535)]
    pub(super) max_header_list_bytes: u32,

    /// Offer HTTP/1.1 alone
    #[arg(long)]
    pub(super) disable_http2_serving: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Authentication")]
pub(super) struct Authentication {
    /// Roots for client certificates [default: the cluster's, from its ConfigMap]
    #[arg(long, value_name = "FILE")]
    pub(super) client_ca_file: Option<PathBuf>,

    /// Roots for the front proxy's certificate [default: the cluster's, from its ConfigMap]
    #[arg(long, value_name = "FILE")]
    pub(super) requestheader_client_ca_file: Option<PathBuf>,

    /// Common names that the front proxy may have; none accepts every certificate of its CA
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        requires = "requestheader_client_ca_file"
    )]
    pub(super) requestheader_allowed_names: Vec<String>,

    /// Headers in which the front proxy names the user
    #[arg(
        long,
        value_name = "HEADERS",
        value_delimiter = ',',
        default_value = "x-remote-user"
    )]
    pub(super) requestheader_username_headers: Vec<String>,

    /// Headers in which the front proxy gives the user's UID; none unless set
    #[arg(long, value_name = "HEADERS", value_delimiter = ',')]
    pub(super) requestheader_uid_headers: Vec<String>,

    /// Headers in which the front proxy names the user's groups
    #[arg(
        long,
        value_name = "HEADERS",
        value_delimiter = ',',
        default_value = "x-remote-group"
    )]
    pub(super) requestheader_group_headers: Vec<String>,

    /// Prefixes of headers in which the front proxy gives extra facts about the user
    #[arg(
        long,
        value_name = "PREFIXES",
        value_delimiter = ',',
        default_value = "x-remote-extra-"
    )]
    pub(super) requestheader_extra_headers_prefix: Vec<String>,

    /// Do not read ConfigMap kube-system/extension-apiserver-authentication
    #[arg(long)]
    pub(super) authentication_skip_lookup: bool,

    /// Become ready even if that ConfigMap must not be read
    #[arg(long, conflicts_with = "authentication_skip_lookup")]
    pub(super) authentication_tolerate_lookup_failure: bool,

    /// How long what a TokenReview said of a token holds
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse::duration)]
    pub(super) authentication_token_webhook_cache_ttl: Duration,

    /// Take direct callers without a credential for system:anonymous instead of refusing them
    #[arg(long, value_name = "BOOL", default_value_t = false, default_missing_value = "true", num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set)]
    pub(super) anonymous_auth: bool,

    /// Audiences of which a token must have one [default: the API server's own]
    #[arg(long, value_name = "AUDIENCES", value_delimiter = ',')]
    pub(super) api_audiences: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Authorization")]
pub(super) struct Authorization {
    /// How long a yes holds
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse::duration)]
    pub(super) authorization_webhook_cache_authorized_ttl: Duration,

    /// How long a no holds
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse::duration)]
    pub(super) authorization_webhook_cache_unauthorized_ttl: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Targets")]
pub(super) struct Targets {
    /// Networks that are never dialled, besides loopback, link-local, multicast, metadata and the API server
    #[arg(long, value_name = "CIDRS", value_delimiter = ',')]
    pub(super) deny_networks: Vec<IpNet>,

    /// Ports of nodes that may be asked besides the kubelet's, as 9100 or 9100-9110 [default: none]
    #[arg(long, value_name = "PORTS", value_delimiter = ',', value_parser = parse::ports)]
    pub(super) node_ports: Vec<RangeInclusive<u16>>,

    /// Roots for the kubelets' certificates [default: the cluster's CA]
    #[arg(long, value_name = "FILE")]
    pub(super) kubelet_certificate_authority: Option<PathBuf>,

    /// Accept any certificate of a kubelet; it then can't be told from an impostor that collects tokens
    #[arg(long, conflicts_with = "kubelet_certificate_authority")]
    pub(super) kubelet_insecure_tls: bool,

    /// The ServiceAccount whose tokens kubelets are shown, ten minutes each; never this server's own
    #[arg(long, value_name = "NAMESPACE/NAME", conflicts_with = "kubelet_token_file",
          value_parser = parse::namespaced_name)]
    pub(super) kubelet_service_account: Option<NamespacedName>,

    /// A token for kubelets of your own, in place of --kubelet-service-account
    #[arg(long, value_name = "FILE")]
    pub(super) kubelet_token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Backends")]
pub(super) struct Backends {
    /// Limit of a TCP connect to a backend
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse::duration)]
    pub(super) backend_connect_timeout: Duration,

    /// Limit of a TLS handshake with a backend
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse::duration)]
    pub(super) backend_tls_handshake_timeout: Duration,

    /// Limit from the end of a request to the head of its answer; 0 is no limit
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse::duration)]
    pub(super) backend_response_header_timeout: Duration,

    /// An exchange or tunnel in which one side does not take what is there for it ends after this; waiting for something to
    /// be said is no such thing; 0 is no limit
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse::duration)]
    pub(super) exchange_idle_timeout: Duration,

    /// How long a kept connection to a backend waits for its next request
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse::duration)]
    pub(super) backend_idle_connection_timeout: Duration,

    /// Kept connections that may wait for one endpoint
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(super) backend_max_idle_connections: usize,

    /// A tunnel in which nothing moves ends after this; 0 is no limit
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse::duration)]
    pub(super) tunnel_idle_timeout: Duration,

    /// How often it is asked whether a tunnel's caller may still have it; 0 is never
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse::duration)]
    pub(super) tunnel_authorization_interval: Duration,

    /// Tunnels at the same time
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub(super) max_tunnels: usize,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Browsers")]
pub(super) struct Browsers {
    /// How links into a target are rendered in its pages
    #[arg(
        long,
        default_value = "relative",
        value_name = "relative|absolute",
        hide_possible_values = true
    )]
    pub(super) links: super::LinkStyle,

    /// Origins that users have in their address bar, as https://HOST, with the path before /apis where there is one
    #[arg(long, value_name = "ORIGINS", value_delimiter = ',', value_parser = parse::origin)]
    pub(super) external_origin: Vec<super::ExternalOrigin>,

    /// What becomes of requests that a page of another site makes with its user's credentials
    #[arg(
        long,
        value_name = "refuse|allow",
        default_value = "refuse",
        hide_possible_values = true
    )]
    pub(super) cross_site: super::CrossSite,

    /// Cookies of other parts of the origin that no backend gets; a * at the end stands for any rest
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = parse::FRONT_END_COOKIES
    )]
    pub(super) never_forward_cookies: Vec<String>,

    /// Whether the documents of every target are kept apart from the rest of the origin; throughway.dev/isolation adds to it
    #[arg(
        long,
        default_value = "off",
        value_name = "off|sandbox",
        hide_possible_values = true
    )]
    pub(super) isolation: super::IsolationDefault,

    /// Bytes of one page that its rewriting may hold; past it the rest of the page passes as it is
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub(super) page_memory: usize,

    /// Bytes that a compressed page may have when it is decoded
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20)]
    pub(super) page_limit: u64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Shutdown")]
pub(super) struct Shutdown {
    /// From SIGTERM to the first refused connection; readiness fails at once
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse::duration)]
    pub(super) shutdown_delay_duration: Duration,

    /// How long running requests and tunnels may go on after that
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse::duration)]
    pub(super) shutdown_grace_duration: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub(super) struct Logs {
    /// What is logged, as a filter such as info or throughway=debug
    #[arg(
        long,
        env = "THROUGHWAY_LOG",
        hide_env_values = true,
        default_value = "info",
        value_name = "FILTER"
    )]
    pub(super) log: String,

    /// Whether each request leaves a JSON line on standard output
    #[arg(
        long,
        default_value = "on",
        value_name = "on|off",
        hide_possible_values = true
    )]
    pub(super) access_log: super::AccessLog,
}

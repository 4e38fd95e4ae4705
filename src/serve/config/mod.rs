//! The configuration of `throughway serve`: typed and checked, before anything is opened.
//!
//! [`crate::cli`] makes it from the command line. Names and defaults follow k8s.io/apiserver's options where they have
//! a name for the thing.

mod cookie_names;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::protocol::fetch_metadata::CrossSitePolicy;

pub use cookie_names::CookieNames;

/// Everything that `throughway serve` was told.
#[derive(Debug, Clone)]
pub struct Config {
    pub group: ApiGroup,
    pub cluster: ClusterConfig,
    pub listen: ListenConfig,
    pub authentication: AuthenticationConfig,
    pub authorization: AuthorizationConfig,
    pub target: TargetConfig,
    pub kubelet: KubeletConfig,
    pub forward: ForwardConfig,
    pub rewrite: RewriteConfig,
    pub shutdown: ShutdownConfig,
    /// A `tracing` filter, `info` unless told.
    pub log: String,
    pub access_log: AccessLogMode,
}

/// Whether each request leaves a line on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AccessLogMode {
    On,
    Off,
}

/// The API group and version that are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiGroup {
    /// `throughway.dev` unless `--api-group` says another name.
    pub name: Arc<str>,
    /// `v1`.
    pub version: &'static str,
}

#[cfg(test)]
impl ApiGroup {
    /// The one that nothing was said about.
    pub(crate) fn for_tests() -> Self {
        Self {
            name: "throughway.dev".into(),
            version: "v1",
        }
    }
}

/// How the API server is reached.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// `--kubeconfig`; without it the ServiceAccount that Kubernetes mounts into the pod.
    pub kubeconfig: Option<PathBuf>,
}

/// Where callers connect, and with what limits.
#[derive(Debug, Clone)]
pub struct ListenConfig {
    pub address: SocketAddr,
    pub certificate: ServingCertificate,
    pub http2: Http2Serving,
    pub limits: ConnectionLimits,
}

/// Whether HTTP/2 is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http2Serving {
    Enabled,
    /// `--disable-http2-serving`: each request of kube-apiserver then has a connection of its own.
    Disabled,
}

/// Where the serving certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServingCertificate {
    /// `--tls-cert-file` and `--tls-private-key-file`, read again when they change.
    Files { certificate: PathBuf, key: PathBuf },
    /// Made and rotated by the replicas themselves in a Secret; its CA is written into the APIService.
    Secret {
        /// `--serving-secret`.
        secret: NamespacedName,
        /// `--serving-service`: what the certificate is for.
        service: NamespacedName,
    },
    /// Made at the start and kept in memory: development and tests.
    SelfSigned,
}

/// What an object of a namespace is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespacedName {
    pub namespace: String,
    pub name: String,
}

/// The limits of kubernetes-style servers on one connection and on all of them.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// `--http2-max-streams-per-connection`, 1000 as for every aggregated server.
    pub max_streams: u32,
    /// `--max-header-list-bytes`: all headers of one request together, 65 535. It is advertised on HTTP/2.
    pub max_header_bytes: u32,
    /// Header lines of one request, 1000, besides those in which the front proxy names the user.
    pub max_header_lines: usize,
    /// From the first byte of a request to the end of its headers, 32 s.
    pub header_read_timeout: Duration,
    /// TLS handshake, 10 s.
    pub handshake_timeout: Duration,
    /// An HTTP/2 or kept HTTP/1 connection without a request ends after this, 90 s as in k8s.io/apiserver.
    pub idle_timeout: Duration,
    /// `--exchange-idle-timeout`: how long a caller may leave a response untaken that is there for it; 0 is no limit.
    pub exchange_idle_timeout: Duration,
    /// Connections at the same time.
    pub max_connections: usize,
    /// Connections of strangers from one address, or from one /64 of IPv6.
    pub max_connections_per_address: usize,
    /// `--max-requests-inflight`: requests at the same time that are no tunnel; 0 is no limit.
    pub max_requests_in_flight: usize,
}

impl ConnectionLimits {
    /// The limits of k8s.io/apiserver for an aggregated server.
    pub fn kubernetes() -> Self {
        Self {
            max_streams: 1000,
            max_header_bytes: 65_535,
            max_header_lines: 1000,
            header_read_timeout: Duration::from_secs(32),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            exchange_idle_timeout: Duration::from_secs(300),
            max_connections: 5000,
            max_connections_per_address: 1000,
            max_requests_in_flight: 1000,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct AuthenticationConfig {
    /// `--client-ca-file`: wins over the cluster's ConfigMap.
    pub client_ca_file: Option<PathBuf>,
    /// `--requestheader-*`: wins over the cluster's ConfigMap.
    pub request_header: Option<RequestHeaderConfig>,
    /// Whether ConfigMap kube-system/extension-apiserver-authentication is read.
    pub lookup: AuthenticationLookup,
    /// `--authentication-token-webhook-cache-ttl`, 10 s.
    pub token_cache_lifetime: Duration,
    /// `--anonymous-auth`: direct callers without a credential.
    pub anonymous: AnonymousAuth,
    /// `--api-audiences`: audiences that a token must be for; empty means the API server's own.
    pub audiences: Vec<String>,
}

/// What becomes of direct callers without a credential. Anonymous users of the front proxy are the front proxy's to
/// judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnonymousAuth {
    /// 401; health endpoints respond to everybody all the same.
    Refused,
    /// They are `system:anonymous`, and the authorizer says what they may.
    Accepted,
}

/// What happens with ConfigMap kube-system/extension-apiserver-authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticationLookup {
    /// Watched; without a right to read it the server does not become ready.
    Required,
    /// `--authentication-tolerate-lookup-failure`.
    Tolerated,
    /// `--authentication-skip-lookup`.
    Skipped,
}

/// `--requestheader-*`.
#[derive(Debug, Clone)]
pub struct RequestHeaderConfig {
    pub client_ca_file: PathBuf,
    pub names: RequestHeaderNames,
}

/// The names around the front proxy, as flags or ConfigMap give them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestHeaderNames {
    pub allowed_names: Vec<String>,
    pub username_headers: Vec<String>,
    pub uid_headers: Vec<String>,
    pub group_headers: Vec<String>,
    pub extra_header_prefixes: Vec<String>,
}

/// The content of ConfigMap kube-system/extension-apiserver-authentication, parsed but not yet believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtensionAuthentication {
    /// `client-ca-file`, PEM.
    pub client_ca: Option<String>,
    /// `requestheader-client-ca-file`, PEM, and the names around it.
    pub request_header: Option<(String, RequestHeaderNames)>,
}

/// May they.
#[derive(Debug, Clone)]
pub struct AuthorizationConfig {
    /// `--authorization-webhook-cache-authorized-ttl`, 10 s.
    pub allowed_lifetime: Duration,
    /// `--authorization-webhook-cache-unauthorized-ttl`, 10 s.
    pub denied_lifetime: Duration,
}

/// Where to.
#[derive(Debug, Clone)]
pub struct TargetConfig {
    /// `--deny-networks`: addresses never dialled, besides those that are never dialled anyway.
    pub denied_networks: Vec<IpNet>,
    /// `--node-ports`: ports of nodes that may be asked besides the kubelet's; none unless told.
    pub node_ports: Vec<RangeInclusive<u16>>,
    pub loopback: Loopback,
    /// `--isolation`: what holds for all targets; the annotation of a Service can only be stricter.
    pub isolation: IsolationDefault,
}

/// Whether documents of targets get an origin of their own, that shares nothing with the API and with other apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum IsolationDefault {
    /// Where a Service asks for it.
    Off,
    /// Everywhere.
    Sandbox,
}

/// Whether loopback addresses may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loopback {
    Refused,
    /// For a demo cluster inside one process. No flag sets it, so no server that was started by its command line has
    /// it.
    AllowedForDevelopment,
}

/// How kubelets are spoken to.
#[derive(Debug, Clone)]
pub struct KubeletConfig {
    pub tls: KubeletTls,
    pub credential: KubeletCredential,
}

/// What kubelets are shown, which is never this server's own token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubeletCredential {
    /// `--kubelet-service-account`: tokens of this ServiceAccount that live ten minutes.
    ServiceAccount(NamespacedName),
    /// `--kubelet-token-file`: a token of the administrator's own.
    TokenFile(PathBuf),
    /// Neither: requests to kubelets are refused.
    None,
}

/// How a kubelet's serving certificate is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubeletTls {
    /// `--kubelet-certificate-authority`; without it the cluster's CA.
    Verify {
        certificate_authority: Option<PathBuf>,
    },
    /// `--kubelet-insecure-tls`.
    AnyCertificate,
}

/// Send it on.
#[derive(Debug, Clone)]
pub struct ForwardConfig {
    /// TCP connect to a backend, 5 s.
    pub connect_timeout: Duration,
    /// TLS handshake with a backend, 5 s.
    pub tls_handshake_timeout: Duration,
    /// From the request's end to the response's head; 0 is no limit.
    pub response_header_timeout: Duration,
    /// `--exchange-idle-timeout`: how long a backend may leave a request's body untaken that is there for it; 0 is no
    /// limit.
    pub exchange_idle_timeout: Duration,
    /// How long an idle connection to a backend waits for its next request.
    pub idle_connection_lifetime: Duration,
    /// Kept connections that wait, per endpoint.
    pub max_idle_per_endpoint: usize,
    /// A tunnel in which nothing moves ends after this; 0 is no limit.
    pub tunnel_idle_timeout: Duration,
    /// How often it is asked whether a tunnel's caller may still have it; 0 is never.
    pub tunnel_authorization_interval: Duration,
    /// Tunnels at the same time.
    pub max_tunnels: usize,
    /// `--never-forward-cookies`: cookies that no backend gets.
    pub never_forward_cookies: CookieNames,
    /// `--external-origin`: what the browsers of this cluster's users have in their address bar.
    pub external_origins: Vec<ExternalOrigin>,
    /// `--cross-site`: what becomes of requests that a page of another site makes.
    pub cross_site: CrossSitePolicy,
}

/// An origin at which browsers see this cluster's API, and the path that the API has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalOrigin {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// In lower case, with the port where it is not the scheme's own.
    pub host: String,
    /// What stands before `/apis`: empty, or `/k8s/clusters/c-1`. It does not end in a slash.
    pub path: String,
}

/// The response.
#[derive(Debug, Clone)]
pub struct RewriteConfig {
    /// `--links`.
    pub links: LinkStyle,
    /// `--never-forward-cookies`: a backend's own cookies of these names travel under others.
    pub never_forward_cookies: CookieNames,
    /// `--page-memory`: what the rewriting of one page may hold of it, in bytes.
    pub page_memory: usize,
    /// `--page-limit`: how long a page that is rewritten may become when it is decoded, in bytes.
    pub page_limit: u64,
}

/// How links into the target are rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LinkStyle {
    /// Path-relative: they mean the same below every prefix.
    Relative,
    /// Absolute paths with the prefix that this server sees, as the built-in proxy renders them.
    Absolute,
}

/// How the server ends.
#[derive(Debug, Clone)]
pub struct ShutdownConfig {
    /// `--shutdown-delay-duration`: from SIGTERM to the first refused connection; readiness fails at once.
    pub delay: Duration,
    /// How long running requests and tunnels may go on after that.
    pub grace: Duration,
}

//! What can be wrong with a kubeconfig, a credential or the way to the API server. How that is told to people is in
//! `advice`.
//!
//! No variant holds a credential, nor text of a file or program that could quote one.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The kubeconfig and the flags name no API server that can be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::local) enum ConfigError {
    #[error("there is no kubeconfig that names an API server")]
    Nowhere { looked_at: Vec<PathBuf> },
    #[error("the kubeconfig {} can't be read: {cause}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("{} is no kubeconfig{}", path.display(), line.map(|line| format!(" (line {line})")).unwrap_or_default())]
    Malformed { path: PathBuf, line: Option<u64> },
    #[error("the kubeconfig has no context {name:?}")]
    NoContext { name: String, known: Vec<String> },
    #[error("the kubeconfig has no cluster {name:?}")]
    NoCluster { name: String, known: Vec<String> },
    #[error("the kubeconfig has no user {name:?}")]
    NoUser { name: String, known: Vec<String> },
    #[error("the kubeconfig has no server address for cluster {cluster:?}")]
    NoServer { cluster: String },
    #[error("{server:?} is not the address of a server")]
    BadServer { server: String },
    #[error("the proxy-url of the kubeconfig is not one of http, https or socks5 with a host")]
    BadProxy,
    #[error("{name:?} can't be the name of a TLS server")]
    BadServerName { name: String },
    #[error("user {user:?} has several kinds of credentials, and only one can be used")]
    SeveralCredentials { user: String },
    #[error("user {user:?} has a client certificate without a key")]
    CertificateWithoutKey { user: String },
    #[error("a group, UID or extra fact is to be impersonated, but no user")]
    ImpersonationWithoutUser,
    #[error("the exec plugin of the kubeconfig can't be used: {what}")]
    Plugin { what: &'static str },
    #[error("the plugin {command:?} of the kubeconfig is not allowed by {}", path.display())]
    PluginNotAllowed { command: String, path: PathBuf },
    #[error("{} does not say which plugins are allowed: {what}", path.display())]
    Kuberc { path: PathBuf, what: &'static str },
    #[error("the kubeconfig has a certificate authority, and insecure-skip-tls-verify beside it")]
    InsecureWithRoots,
    #[error("there is no auth-provider {name:?}")]
    NoProvider { name: String },
    #[error("{name:?} can't be sent as a header")]
    Unsendable { name: &'static str },
    #[error(transparent)]
    PemKind(#[from] PemError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

/// A kind of PEM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum PemKind {
    Roots,
    ClientCertificate,
    ClientKey,
}

impl std::fmt::Display for PemKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Roots => "the certificate authority",
            Self::ClientCertificate => "the client certificate",
            Self::ClientKey => "the key of the client certificate",
        })
    }
}

/// A certificate or key is of no use. `origin` is the file, or says that it stands in the kubeconfig or came from a
/// plugin.
#[derive(Debug, thiserror::Error)]
pub(in crate::local) enum PemError {
    #[error("{material} can't be read from {origin}: {cause}")]
    Unreadable {
        material: PemKind,
        origin: String,
        #[source]
        cause: io::Error,
    },
    #[error("{material} in {origin} is no PEM of the right kind")]
    Malformed { material: PemKind, origin: String },
    #[error("the client certificate in {origin} expired at {at}")]
    Expired { origin: String, at: String },
    #[error("certificates and key in {origin} can't be used together")]
    Unusable { origin: String },
}

/// There is no credential for the next request.
#[derive(Debug, Clone, thiserror::Error)]
pub(in crate::local) enum CredentialError {
    #[error("the token file {} can't be read: {reason}", path.display())]
    TokenFile {
        path: PathBuf,
        reason: io::ErrorKind,
    },
    #[error("the token from {origin} is empty or has characters that no header can have")]
    Unsendable { origin: String },
    #[error("the client certificate in {origin} expired at {at}")]
    CertificateExpired { origin: String, at: String },
    #[error("the plugin {command} of the kubeconfig is not installed")]
    PluginMissing {
        command: String,
        install_hint: Option<String>,
    },
    #[error("the plugin {command} can't be run: {reason}")]
    PluginUnstartable {
        command: String,
        reason: io::ErrorKind,
    },
    #[error("the plugin {command} failed ({status}){}", last_line.as_ref().map(|line| format!(": {line}")).unwrap_or_default())]
    PluginFailed {
        command: String,
        status: String,
        last_line: Option<String>,
    },
    #[error("the plugin {command} was not done within {limit:?}")]
    PluginTimeout { command: String, limit: Duration },
    #[error("the output of the plugin {command} can't be used: {what}")]
    PluginOutput { command: String, what: &'static str },
    #[error("the renewal of the credential met a defect of this program")]
    Interrupted,
    #[error("the plugin {command} has to ask questions, and standard input is no terminal")]
    PluginNeedsTerminal { command: String },
    #[error(
        "the ID token has expired, and the kubeconfig has not all that is needed to fetch another one"
    )]
    LoginExpired,
    #[error("the issuer {issuer} gave no ID token: {why}")]
    Issuer { issuer: String, why: String },
}

/// The API server can't be reached.
#[derive(Debug, thiserror::Error)]
pub(in crate::local) enum ConnectError {
    #[error(transparent)]
    PemKind(#[from] PemError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("the name {host:?} is not known: {cause}")]
    UnknownName {
        host: String,
        #[source]
        cause: io::Error,
    },
    #[error("nothing listens on {address}")]
    Refused { address: String },
    #[error("{address} can't be reached: {cause}")]
    Unreachable {
        address: String,
        #[source]
        cause: io::Error,
    },
    #[error("{address} did not take the connection within {limit:?}")]
    ConnectTimeout { address: String, limit: Duration },
    #[error("{address} did not finish the TLS handshake within {limit:?}")]
    HandshakeTimeout { address: String, limit: Duration },
    #[error("the certificate of {address} is not trusted: {reason}")]
    Untrusted {
        address: String,
        reason: UntrustedReason,
    },
    #[error("{address} refused the client certificate: {cause}")]
    IdentityRefused {
        address: String,
        #[source]
        cause: rustls::Error,
    },
    #[error("there is no TLS with {address}: {cause}")]
    Handshake {
        address: String,
        #[source]
        cause: io::Error,
    },
    #[error("the proxy {proxy} gave no connection to {address}: {reason}")]
    Proxy {
        proxy: String,
        address: String,
        reason: String,
    },
}

/// Why a server's certificate is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::local) enum UntrustedReason {
    #[error("it is signed by nobody who is trusted")]
    UnknownIssuer,
    #[error("it is for other names than {name:?}")]
    OtherName { name: String },
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYetValid,
    #[error("{0}")]
    Other(String),
}

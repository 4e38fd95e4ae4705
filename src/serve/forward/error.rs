//! Why a request got no response that can be passed on, and what the caller is told of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::transport::connection::{MAX_HEADER_LINES, is_malformed};
use super::transport::io::IoState;
use super::transport::stream::UNACKNOWLEDGED_TIMEOUT;
use super::transport::tls_failure;
use crate::causes::{causes, is_socket_timeout};
use crate::protocol::status::Status;
use crate::serve::certificates::NoKubeletCredential;
use crate::serve::fairness::Full;
use crate::serve::refusal::{Fault, Refuse};

/// Why there is no response.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ForwardError {
    #[error("error trying to reach service: {address} refused the connection")]
    Refused {
        address: SocketAddr,
        #[source]
        cause: Arc<std::io::Error>,
    },
    #[error("error trying to reach service: no connection to {address} within {timeout:?}")]
    ConnectTimeout {
        address: SocketAddr,
        timeout: Duration,
    },
    #[error("error trying to reach service: no TLS handshake with {address} within {timeout:?}")]
    HandshakeTimeout {
        address: SocketAddr,
        timeout: Duration,
    },
    #[error("error trying to reach service: {address} does not speak TLS; try http:NAME:PORT")]
    NotTls { address: SocketAddr },
    #[error("error trying to reach service: {address} speaks TLS; try https:NAME:PORT")]
    SpeaksTls { address: SocketAddr },
    #[error("error trying to reach service: TLS with {address} failed: {}", tls_failure::of_handshake(.cause))]
    Handshake {
        address: SocketAddr,
        #[source]
        cause: Arc<std::io::Error>,
    },
    #[error("error trying to reach service: TLS with {address} ended: {}", tls_failure::of_alert(*.alert))]
    TlsAlert {
        address: SocketAddr,
        alert: rustls::AlertDescription,
    },
    #[error("error trying to reach service: {address} closed the connection without a response")]
    Closed {
        address: SocketAddr,
        #[source]
        cause: Arc<hyper::Error>,
    },
    #[error(
        "error trying to reach service: {address} answered with something that is not HTTP: {}",
        causes(&**.cause)
    )]
    Malformed {
        address: SocketAddr,
        #[source]
        cause: Arc<hyper::Error>,
    },
    /// A head of too many bytes is [`Self::FloodBeforeResponse`]: it ends before anybody sees that it is one.
    #[error(
        "error trying to reach service: {address}'s response has more than {MAX_HEADER_LINES} header lines, or a name above 64 KiB"
    )]
    HeadTooLarge { address: SocketAddr },
    #[error("error trying to reach service: {address} sent too much before its response")]
    FloodBeforeResponse { address: SocketAddr },
    #[error("error trying to reach service: {address} sent no response within {timeout:?}")]
    ResponseTimeout {
        address: SocketAddr,
        timeout: Duration,
    },
    #[error(
        "error trying to reach service: {address} did not take the request's body for {timeout:?}"
    )]
    BodyNotTaken {
        address: SocketAddr,
        timeout: Duration,
    },
    /// What the kernel says when `TCP_USER_TIMEOUT` is over: the backend is gone without a word, or reads nothing.
    #[error(
        "error trying to reach service: {address} acknowledged or took nothing for {timeout:?}"
    )]
    Unacknowledged {
        address: SocketAddr,
        timeout: Duration,
    },
    #[error("the request's body broke off")]
    CallerGone(#[source] Arc<hyper::Error>),
    #[error("invalid upgrade response: status code {0}")]
    UpgradeResponse(u16),
    #[error("the backend switched to a protocol that was not asked for")]
    UpgradeProtocol,
    #[error("only websocket and SPDY/3.1 are tunnelled, not {0:?}")]
    Protocol(String),
    #[error("upgrades to a kubelet are not forwarded; they run commands in pods")]
    KubeletUpgrade,
    #[error(transparent)]
    KubeletCredential(#[from] NoKubeletCredential),
    #[error("too many tunnels, try again later: {0}")]
    TooManyTunnels(#[from] Full),
    #[error("the path or a header can't be sent on")]
    Unsendable,
}

impl Refuse for ForwardError {
    // A connection that never was is 503, silence is 504, and what was understood wrongly is 502 (RFC 9110 section
    // 15.6).
    fn status(&self) -> Status {
        let message = self.to_string();
        match self {
            Self::Refused { .. } | Self::KubeletCredential(_) => Status::unavailable(message),
            Self::ConnectTimeout { .. }
            | Self::HandshakeTimeout { .. }
            | Self::ResponseTimeout { .. }
            | Self::BodyNotTaken { .. }
            | Self::Unacknowledged { .. } => Status::gateway_timeout(message),
            Self::NotTls { .. }
            | Self::SpeaksTls { .. }
            | Self::Handshake { .. }
            | Self::TlsAlert { .. }
            | Self::Closed { .. }
            | Self::Malformed { .. }
            | Self::HeadTooLarge { .. }
            | Self::FloodBeforeResponse { .. } => Status::bad_gateway(message),
            // What the caller has sent behind a refused upgrade was meant for a tunnel and is no request.
            Self::UpgradeResponse(_) | Self::UpgradeProtocol => {
                Status::bad_gateway(message).closing()
            }
            Self::CallerGone(_) | Self::Protocol(_) | Self::Unsendable => {
                Status::bad_request(message)
            }
            Self::KubeletUpgrade => Status::forbidden(message),
            Self::TooManyTunnels(_) => Status::too_many_requests(message),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "connect_refused",
            Self::ConnectTimeout { .. } => "connect_late",
            Self::HandshakeTimeout { .. } => "handshake_late",
            Self::NotTls { .. } => "not_tls",
            Self::SpeaksTls { .. } => "speaks_tls",
            Self::Handshake { .. } => "handshake",
            Self::TlsAlert { .. } => "tls_alert",
            Self::Closed { .. } => "closed",
            Self::Malformed { .. } => "malformed",
            Self::HeadTooLarge { .. } => "head_too_large",
            Self::FloodBeforeResponse { .. } => "no_response",
            Self::ResponseTimeout { .. } => "response_timeout",
            Self::BodyNotTaken { .. } => "body_not_taken",
            Self::Unacknowledged { .. } => "unacknowledged",
            Self::CallerGone(_) => "caller_gone",
            Self::UpgradeResponse(_) => "upgrade_response",
            Self::UpgradeProtocol => "upgrade_protocol",
            Self::Protocol(_) => "protocol",
            Self::KubeletUpgrade => "kubelet_upgrade",
            Self::KubeletCredential(_) => "kubelet_credential",
            Self::TooManyTunnels(Full::Everybody) => "too_many_tunnels",
            Self::TooManyTunnels(Full::User) => "user_share_tunnels",
            Self::TooManyTunnels(Full::Namespace) => "namespace_share_tunnels",
            Self::Unsendable => "unsendable",
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::CallerGone(_)
            | Self::Protocol(_)
            | Self::KubeletUpgrade
            | Self::TooManyTunnels(Full::User | Full::Namespace)
            | Self::Unsendable => Fault::Caller,
            Self::TooManyTunnels(Full::Everybody) | Self::KubeletCredential(_) => Fault::Server,
            Self::Refused { .. }
            | Self::ConnectTimeout { .. }
            | Self::HandshakeTimeout { .. }
            | Self::NotTls { .. }
            | Self::SpeaksTls { .. }
            | Self::Handshake { .. }
            | Self::TlsAlert { .. }
            | Self::Closed { .. }
            | Self::Malformed { .. }
            | Self::HeadTooLarge { .. }
            | Self::FloodBeforeResponse { .. }
            | Self::ResponseTimeout { .. }
            | Self::BodyNotTaken { .. }
            | Self::Unacknowledged { .. }
            | Self::UpgradeResponse(_)
            | Self::UpgradeProtocol => Fault::Backend,
        }
    }
}

impl ForwardError {
    /// A connection that ended before anything was known of the request.
    pub(super) fn closed(address: SocketAddr, cause: hyper::Error) -> Self {
        Self::Closed {
            address,
            cause: Arc::new(cause),
        }
    }

    /// What hyper's error means, with what is known of the connection. The connection comes first: its own end, by a
    /// flood or an alert of TLS, is to hyper an error of reading and no more.
    pub(super) fn of_exchange(address: SocketAddr, state: &IoState, cause: hyper::Error) -> Self {
        // hyper calls it a user's error when the body that it was given fails, and that body is the caller's.
        let is_of_the_callers_body = cause.is_user();
        if state.is_flood() {
            Self::FloodBeforeResponse { address }
        } else if state.looks_like_tls() {
            Self::SpeaksTls { address }
        } else if let Some(alert) = state.alert() {
            // A plain request to a port of TLS gets an alert in clear, which hyper can only call malformed. So this is
            // asked before hyper is.
            Self::TlsAlert { address, alert }
        } else if is_of_the_callers_body {
            Self::CallerGone(Arc::new(cause))
        // Too many lines or too long a name is a parse error too, so the narrower question comes first.
        } else if cause.is_parse_too_large() {
            Self::HeadTooLarge { address }
        } else if cause.is_parse() || is_malformed(&cause) {
            Self::Malformed {
                address,
                cause: Arc::new(cause),
            }
        // The kernel's word for it arrives as an ordinary error of reading or writing; only its number tells it from a
        // reset.
        } else if is_socket_timeout(&cause) {
            Self::Unacknowledged {
                address,
                timeout: UNACKNOWLEDGED_TIMEOUT,
            }
        } else {
            Self::closed(address, cause)
        }
    }
}

//! Who is at the other end of a connection: address and certificates, nothing decided yet.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;

use crate::serve::certificates::CachedVerification;

/// The other end of one connection, shared by all its requests.
///
/// The certificates were presented and their key was proven at the handshake; whether anybody trusts them is decided
/// for every request by `authentication`, against the roots that are in force at that moment.
#[derive(Debug, Clone)]
pub struct Peer(Arc<PeerInner>);

/// Whose connection it is, as its certificate says right after the handshake. It decides what the connection may take,
/// and nothing else: each request is authenticated by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerClass {
    /// kube-apiserver: many users share its connection, so no event that one of them can cause may end it.
    FrontProxy,
    /// Everybody else.
    Stranger,
}

#[derive(Debug)]
struct PeerInner {
    class: OnceLock<PeerClass>,
    address: SocketAddr,
    address_text: HeaderValue,
    certificates: Vec<CertificateDer<'static>>,
    front_proxy_verification: ArcSwapOption<CachedVerification>,
    client_verification: ArcSwapOption<CachedVerification>,
    retired: CancellationToken,
}

impl Peer {
    pub fn new(address: SocketAddr, certificates: Vec<CertificateDer<'static>>) -> Self {
        // A caller over IPv4 at a socket for both is `::ffff:…`, which apps that log or filter by address do not
        // expect.
        let text = address.ip().to_canonical().to_string();
        Self(Arc::new(PeerInner {
            class: OnceLock::new(),
            address,
            address_text: HeaderValue::try_from(text).expect("an address is header text"),
            certificates,
            front_proxy_verification: ArcSwapOption::empty(),
            client_verification: ArcSwapOption::empty(),
            retired: CancellationToken::new(),
        }))
    }

    /// Says once and for all whose connection it is.
    pub(super) fn classify(&self, class: PeerClass) {
        // A second verdict would come from a second handshake, which there is none of.
        let _ = self.0.class.set(class);
    }

    /// A peer that nobody has judged is a stranger.
    pub fn class(&self) -> PeerClass {
        self.0.class.get().copied().unwrap_or(PeerClass::Stranger)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The IP address as it stands in `X-Forwarded-For`.
    pub fn address_text(&self) -> &HeaderValue {
        &self.0.address_text
    }

    /// The chain as presented, leaf first; empty when the caller presented none.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0.certificates
    }

    /// What was last found out about the chain under the front proxy's roots, remembered so that a signature is
    /// checked once for each change of roots and not once for each request.
    pub fn front_proxy_verification(&self) -> &ArcSwapOption<CachedVerification> {
        &self.0.front_proxy_verification
    }

    /// The same under the cluster's client CA.
    pub fn client_verification(&self) -> &ArcSwapOption<CachedVerification> {
        &self.0.client_verification
    }

    /// Lets this connection end after the requests that are running on it: what an unknown caller gets on HTTP/2, so
    /// that a flood of refused streams is not free (k8s.io/apiserver `UnauthenticatedHTTP2DOSMitigation`).
    pub fn retire(&self) {
        self.0.retired.cancel();
    }

    /// Resolves when [`Peer::retire`] was called.
    pub async fn retired(&self) {
        self.0.retired.cancelled().await;
    }
}

//! What is spoken at a target's addresses.

/// What is spoken at a target's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 in the clear.
    Http,
    /// TLS with any certificate, HTTP/2 or HTTP/1.1 as the backend chooses (the built-in proxy's stance on pods).
    Https,
    /// A kubelet: TLS verified against the kubelets' CA, with the token for kubelets.
    Kubelet,
}

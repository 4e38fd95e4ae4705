//! How this server presents itself to kubelets, and which of their certificates it believes.

use std::sync::Arc;

use http::HeaderValue;
use rustls::ClientConfig;

/// What holds now for connections to kubelets. Read without waiting; cheap to clone.
#[derive(Debug, Clone)]
pub struct KubeletAccess {}

impl KubeletAccess {
    /// The TLS settings now in force. A new CA is a new `Arc`, so kept connections can be told apart by it.
    pub fn tls(&self) -> Arc<ClientConfig> {
        todo!()
    }

    /// `Bearer …` of this server's own ServiceAccount, read again as Kubernetes rotates it.
    pub fn authorization(&self) -> Option<HeaderValue> {
        todo!()
    }
}

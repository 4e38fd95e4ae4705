//! Which keys and roots hold now: read handles for the handshake, authentication and dialling.
//!
//! In: files, a Secret, the cluster's ConfigMap. Out: [`Trust`] (whose certificates are believed), [`Serving`] (what
//! this server presents), [`KubeletAccess`] (how kubelets are spoken to), [`SessionKey`] (what logins are sealed with).
//! Each is replaced as a whole when its source changes and read without waiting; what can't be read or used is logged
//! and leaves the last good one in place.

mod any;
mod error;
mod files;
mod generate;
mod handshake;
mod kubelet;
mod provider;
mod secret;
mod serving;
mod session;
mod signature;
mod trust;
mod version_one;

pub use any::any_backend;
pub use error::CertificateError;
pub use handshake::server_config;
pub use kubelet::{
    CredentialSource, KubeletAccess, KubeletCredentialSource, KubeletSources, NoKubeletCredential,
};
pub(crate) use provider::provider;
pub use secret::ServingSecret;
pub use serving::{Serving, not_after};
pub use session::{SESSION_KEY_LENGTH, SessionKey};
#[cfg(test)]
pub(crate) use version_one::tests::in_version_one;

pub use trust::{CachedVerification, RequestHeader, Roots, Trust, TrustSources};

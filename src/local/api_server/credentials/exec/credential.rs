//! What a plugin gave.

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;

use crate::local::api_server::transport::pem::ClientIdentity;

/// A token, a client certificate, or both.
pub(in crate::local::api_server::credentials) struct ExecCredential {
    pub(in crate::local::api_server::credentials) header: Option<HeaderValue>,
    pub(in crate::local::api_server::credentials) identity: Option<Arc<ClientIdentity>>,
    pub(super) expires: Option<SystemTime>,
}

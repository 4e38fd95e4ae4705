//! What the start page shows that does not come from lists and watches.

use tokio::sync::watch;

use crate::local::targets::mode::ProxyMode;

#[derive(Debug, Clone)]
pub(in crate::local) struct Facts {
    /// The kubeconfig's context.
    pub(in crate::local) context: Option<String>,
    /// The API server's address.
    pub(in crate::local) server: String,
    pub(in crate::local) default_namespace: String,
    pub(in crate::local) mode: watch::Receiver<ProxyMode>,
}

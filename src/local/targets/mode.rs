//! Which proxy of the cluster leads to targets. Plain data: what the detector found, or what `--via` says.

use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) enum ProxyMode {
    /// Not detected yet, or the cluster does not say.
    Unknown,
    /// With the API group that it serves.
    Throughway(Arc<str>),
    BuiltIn {
        /// What it can't do, each a sentence.
        limits: Vec<&'static str>,
    },
}

impl ProxyMode {
    /// The API group that rights to the proxy are in; the built-in proxy's is the core group, `""`.
    pub(in crate::local) fn api_group(&self) -> Option<Arc<str>> {
        match self {
            Self::Unknown => None,
            Self::Throughway(group) => Some(Arc::clone(group)),
            Self::BuiltIn { .. } => Some(Arc::from("")),
        }
    }
}

//! Which proxy of the cluster leads to targets.

/// Plain data: what the detector found, or what `--via` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) enum ProxyMode {
    /// Not detected yet, or the cluster does not say.
    Unknown,
    Throughway,
    BuiltIn {
        /// What it can't do, each a sentence.
        limits: Vec<&'static str>,
    },
}

impl ProxyMode {
    /// The API group that rights to the proxy are in.
    pub(in crate::local) fn api_group(&self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Throughway => Some("throughway.dev"),
            Self::BuiltIn { .. } => Some(""),
        }
    }
}

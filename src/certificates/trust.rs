//! Root sets by purpose, each replaced as a whole when its source changes.

use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use http::HeaderName;
use rustls::pki_types::CertificateDer;

/// The roots now in force, for everybody who has to judge a caller's certificate. Read without waiting.
#[derive(Debug, Default)]
pub struct Trust {
    /// The cluster's client CA; empty while no bundle is known ("no opinion").
    pub client: ArcSwapOption<Roots>,
    /// The front proxy's CA with its names and headers; empty while none is known ("no opinion").
    pub request_header: ArcSwapOption<RequestHeader>,
}

/// One set of root certificates, ready to verify client chains.
#[derive(Debug)]
pub struct Roots {
    id: u64,
}

impl Roots {
    /// A number that no other set of roots of this process has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Verifies a client chain (leaf first, the others are intermediates) at `now`, extended key usage clientAuth.
    pub fn verify(
        &self,
        _chain: &[CertificateDer<'static>],
        _now: SystemTime,
    ) -> Result<(), rustls::Error> {
        todo!()
    }
}

/// `requestheader-*`: which certificates may speak for others, and in which headers.
#[derive(Debug)]
pub struct RequestHeader {
    pub roots: Roots,
    /// Common names that are accepted; empty accepts any certificate of `roots`.
    pub allowed_names: Vec<String>,
    pub username_headers: Vec<HeaderName>,
    pub uid_headers: Vec<HeaderName>,
    pub group_headers: Vec<HeaderName>,
    /// Lower case.
    pub extra_header_prefixes: Vec<String>,
}

/// What was found out about one connection's chain under one set of roots.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    /// The [`Roots::id`] that this was found out with: the verdict holds only while those roots are in force.
    pub roots: u64,
    /// The verdict holds until then: the end of the leaf's validity.
    pub until: SystemTime,
    pub accepted: bool,
}

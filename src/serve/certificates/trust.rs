//! Root sets by purpose, each replaced as a whole when its source changes.
//!
//! The sources are files (`--client-ca-file`, `--requestheader-client-ca-file`, which win) and ConfigMap
//! kube-system/extension-apiserver-authentication. Content that is empty or broken changes nothing: the last good
//! bundle stays. Kubernetes: `pkg/server/options/authentication_dynamic_request_header.go` of k8s.io/apiserver.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use http::HeaderName;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::sync::watch;

use super::files::{self, Changes};
use super::{CertificateError, provider, signature, version_one};
use crate::lifecycle::Tasks;
use crate::serve::config::{ExtensionAuthentication, RequestHeaderConfig, RequestHeaderNames};

/// The roots now in force, for everybody who has to judge a caller's certificate. Read without waiting.
#[derive(Debug, Default)]
pub struct Trust {
    /// The cluster's client CA; empty while no bundle is known ("no opinion").
    pub client: ArcSwapOption<Roots>,
    /// The front proxy's CA with its names and headers; empty while none is known ("no opinion").
    pub request_header: ArcSwapOption<RequestHeader>,
}

/// Where roots come from besides the cluster's ConfigMap.
#[derive(Debug, Clone, Default)]
pub struct TrustSources {
    pub client_ca_file: Option<PathBuf>,
    pub request_header: Option<RequestHeaderConfig>,
}

/// One set of root certificates, ready to verify client chains.
#[derive(Debug)]
pub struct Roots {
    id: u64,
    verifier: Arc<dyn ClientCertVerifier>,
    certificates: Vec<CertificateDer<'static>>,
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

/// What is dangerous in how a cluster believes its front proxy, though Kubernetes accepts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustWarning {
    #[error(
        "requestheader-allowed-names is empty: every certificate of the front proxy's CA may speak for every user"
    )]
    AnyName,
    #[error(
        "the front proxy's CA is one of the CAs of clients: with an allowed name, or none required, any client may speak for every user (CVE-2025-64432 was such a case); give the front proxy a CA of its own"
    )]
    SharedCa,
}

/// What was found out about one connection's chain under one set of roots.
#[derive(Debug, Clone, Copy)]
pub struct CachedVerification {
    /// The [`Roots::id`] that this was found out with: the verdict holds only while those roots are in force.
    pub roots: u64,
    /// The verdict holds until then: the end of the leaf's validity.
    pub until: SystemTime,
    pub accepted: bool,
}

impl Roots {
    /// Reads a PEM bundle of root certificates.
    ///
    /// # Errors
    /// There is no certificate in it, or one that can't be a root.
    pub fn parse(pem: &[u8]) -> Result<Self, CertificateError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut store = RootCertStore::empty();
        let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
        for certificate in &certificates {
            store.add(certificate.clone())?;
        }
        // An empty set would refuse everybody, which is worse than the last good one.
        if store.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider()).build()?;
        Ok(Self {
            // Counted for the whole process, so that a verdict of one set is never taken for that of another.
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            verifier,
            certificates,
        })
    }

    /// Whether some CA is in both, also as another certificate for the same key.
    fn shares_a_key_with(&self, other: &Self) -> bool {
        let keys = |roots: &Self| -> Vec<Vec<u8>> {
            let certificates = roots.certificates.iter();
            let keys = certificates.filter_map(|root| signature::public_key_info(root));
            keys.map(<[u8]>::to_vec).collect()
        };
        let others: HashSet<Vec<u8>> = keys(other).into_iter().collect();
        keys(self).iter().any(|key| others.contains(key))
    }

    /// A number that no other set of roots of this process has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Verifies a client chain at `now`: leaf first, the others are intermediates, extended key usage clientAuth. A
    /// leaf of X.509 version 1 has no such usage, and is believed if one of these roots signed it.
    ///
    /// # Errors
    /// The chain is empty, not of these roots, not valid at `now`, or not for clients.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<(), rustls::Error> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        if version_one::is_version_one(leaf) {
            return self.verify_version_one(leaf, now);
        }
        let since_epoch = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let now = UnixTime::since_unix_epoch(since_epoch);
        self.verifier
            .verify_client_cert(leaf, intermediates, now)
            .map(|_| ())
    }

    fn verify_version_one(
        &self,
        leaf: &CertificateDer<'_>,
        now: SystemTime,
    ) -> Result<(), rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        version_one::verify(leaf, &self.certificates, now, algorithms).map_err(|disbelief| {
            let why = rustls::OtherError(Arc::new(disbelief));
            rustls::Error::InvalidCertificate(rustls::CertificateError::Other(why))
        })
    }
}

impl RequestHeader {
    /// Compiles a bundle and the names around it.
    ///
    /// # Errors
    /// The bundle is of no use, or a name is not that of a header.
    pub fn compile(pem: &[u8], names: &RequestHeaderNames) -> Result<Self, CertificateError> {
        Ok(Self {
            roots: Roots::parse(pem)?,
            allowed_names: names.allowed_names.clone(),
            username_headers: header_names(&names.username_headers)?,
            uid_headers: header_names(&names.uid_headers)?,
            group_headers: header_names(&names.group_headers)?,
            extra_header_prefixes: names
                .extra_header_prefixes
                .iter()
                // Names of headers are compared in lower case, as they arrive.
                .map(|prefix| prefix.to_ascii_lowercase())
                .collect(),
        })
    }
}

impl Trust {
    /// Reads the files once, so that a wrong one ends the start, and follows them from then on.
    ///
    /// # Errors
    /// A file can't be read or used.
    pub async fn from_files(
        sources: &TrustSources,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, CertificateError> {
        let trust = Arc::new(Self::default());
        if let Some(path) = sources.client_ca_file.clone() {
            trust.use_client_file(&files::read(&path).await?)?;
            tasks.spawn_required(
                "client-ca",
                follow_client_file(Arc::clone(&trust), Changes::of([path])),
            );
        }
        if let Some(config) = sources.request_header.clone() {
            let pem = files::read(&config.client_ca_file).await?;
            trust.use_request_header(&pem, &config.names)?;
            tasks.spawn_required(
                "requestheader-ca",
                follow_request_header_file(Arc::clone(&trust), config),
            );
        }
        // Once at the start, for both files together.
        trust.warn();
        Ok(trust)
    }

    /// Follows what the cluster's ConfigMap says of whatever no file has the say.
    pub fn follow_cluster(
        self: &Arc<Self>,
        sources: TrustSources,
        said: watch::Receiver<ExtensionAuthentication>,
        tasks: &Tasks,
    ) {
        tasks.spawn_required(
            "cluster-ca",
            follow_cluster(Arc::clone(self), sources, said),
        );
    }

    /// What is dangerous in the roots now in force.
    pub fn warnings(&self) -> Vec<TrustWarning> {
        let (client, request_header) = (self.client.load(), self.request_header.load());
        let Some(request_header) = request_header.as_deref() else {
            return Vec::new();
        };
        let mut warnings = Vec::new();
        if request_header.allowed_names.is_empty() {
            warnings.push(TrustWarning::AnyName);
        }
        let is_shared = client
            .as_deref()
            .is_some_and(|client| client.shares_a_key_with(&request_header.roots));
        if is_shared {
            warnings.push(TrustWarning::SharedCa);
        }
        warnings
    }

    /// Says what is dangerous, after each change of roots.
    fn warn(&self) {
        for warning in self.warnings() {
            tracing::warn!("{warning}");
        }
    }

    fn use_client_file(&self, pem: &[u8]) -> Result<(), CertificateError> {
        self.client.store(Some(Arc::new(Roots::parse(pem)?)));
        Ok(())
    }

    fn use_request_header(
        &self,
        pem: &[u8],
        names: &RequestHeaderNames,
    ) -> Result<(), CertificateError> {
        self.request_header
            .store(Some(Arc::new(RequestHeader::compile(pem, names)?)));
        Ok(())
    }

    /// Takes over what the cluster's ConfigMap says, as far as no file has the say and as far as it is usable.
    fn update(&self, sources: &TrustSources, said: &ExtensionAuthentication) {
        // A file has the say: with one, the ConfigMap is not asked for that purpose.
        if let (None, Some(pem)) = (&sources.client_ca_file, &said.client_ca) {
            keep_if_broken("client-ca-file", self.use_client_file(pem.as_bytes()));
        }
        if let (None, Some((pem, names))) = (&sources.request_header, &said.request_header) {
            let used = self.use_request_header(pem.as_bytes(), names);
            keep_if_broken("requestheader-client-ca-file", used);
        }
    }
}

async fn follow_cluster(
    trust: Arc<Trust>,
    sources: TrustSources,
    mut said: watch::Receiver<ExtensionAuthentication>,
) {
    loop {
        // Marked as seen before it is used, so that a change in between wakes the loop again.
        let now = said.borrow_and_update().clone();
        trust.update(&sources, &now);
        trust.warn();
        // The lookup has ended, as the server has; there is nothing to follow.
        if said.changed().await.is_err() {
            return;
        }
    }
}

async fn follow_client_file(trust: Arc<Trust>, mut changes: Changes<1>) {
    loop {
        let [pem] = changes.next().await;
        keep_if_broken("--client-ca-file", trust.use_client_file(&pem));
        trust.warn();
    }
}

async fn follow_request_header_file(trust: Arc<Trust>, config: RequestHeaderConfig) {
    let mut changes = Changes::of([config.client_ca_file.clone()]);
    loop {
        let [pem] = changes.next().await;
        keep_if_broken(
            "--requestheader-client-ca-file",
            trust.use_request_header(&pem, &config.names),
        );
        trust.warn();
    }
}

fn keep_if_broken(source: &'static str, used: Result<(), CertificateError>) {
    match used {
        Ok(()) => tracing::info!(source, "roots are in force"),
        Err(failed) => {
            tracing::warn!(source, error = %failed, "roots are of no use, the last good ones stay")
        }
    }
}

fn header_names(names: &[String]) -> Result<Vec<HeaderName>, CertificateError> {
    names
        .iter()
        .map(|name| {
            HeaderName::try_from(name.as_str())
                .map_err(|_| CertificateError::HeaderName(name.clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::generate;
    use super::*;

    fn names(allowed: &[&str]) -> RequestHeaderNames {
        RequestHeaderNames {
            allowed_names: allowed.iter().map(|name| (*name).to_owned()).collect(),
            ..RequestHeaderNames::default()
        }
    }

    #[test]
    fn a_front_proxy_that_anybody_could_be_is_warned_of() {
        let (own, shared) = (
            generate::authority("own").unwrap().certificate,
            generate::authority("shared").unwrap().certificate,
        );
        let both = format!("{own}{shared}");
        let trust = Trust::default();
        assert_eq!(trust.warnings(), [], "nothing is known yet");
        trust.use_client_file(shared.as_bytes()).unwrap();
        for (front_proxy, allowed, expected) in [
            (&own, &["front-proxy-client"][..], &[][..]),
            (&own, &[], &[TrustWarning::AnyName]),
            (&shared, &["front-proxy-client"], &[TrustWarning::SharedCa]),
            (&both, &["front-proxy-client"], &[TrustWarning::SharedCa]),
            (&both, &[], &[TrustWarning::AnyName, TrustWarning::SharedCa]),
        ] {
            let pem = front_proxy.as_bytes();
            trust.use_request_header(pem, &names(allowed)).unwrap();
            assert_eq!(trust.warnings(), expected, "{allowed:?}");
        }
    }
}
